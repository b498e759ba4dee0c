// SPDX-License-Identifier: Apache-2.0
//! Stop signals: the CRI's enum, an image's `StopSignal` text, and Linux numbers.

use gorae_proto::cri::Signal;

/// SIGTERM, which applies unless the request or the image names another signal.
pub const DEFAULT: i32 = 15;
/// The first real-time signal that glibc leaves to programs.
const RTMIN: i32 = 34;
/// The last real-time signal.
const RTMAX: i32 = 64;

const NAMES: [(&str, i32); 36] = [
    ("ABRT", 6),
    ("ALRM", 14),
    ("BUS", 7),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("FPE", 8),
    ("HUP", 1),
    ("ILL", 4),
    ("INT", 2),
    ("IO", 29),
    ("IOT", 6),
    ("KILL", 9),
    ("PIPE", 13),
    ("POLL", 29),
    ("PROF", 27),
    ("PWR", 30),
    ("QUIT", 3),
    ("SEGV", 11),
    ("STKFLT", 16),
    ("STOP", 19),
    ("SYS", 31),
    ("TERM", 15),
    ("TRAP", 5),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("USR1", 10),
    ("USR2", 12),
    ("VTALRM", 26),
    ("WINCH", 28),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("RTMIN", RTMIN),
    ("RTMAX", RTMAX),
];

/// The number of a request's signal; `None` for RUNTIME_DEFAULT, and for values that the CRI does not define.
pub fn from_cri(signal: Signal) -> Option<i32> {
    let name = signal.as_str_name().strip_prefix("SIGNAL_SIG")?;
    parse(&name.replace("PLUS", "+").replace("MINUS", "-"))
}

/// The number of an image's `StopSignal`: `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3`.
pub fn parse(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=RTMAX).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |digits: &str| digits.parse::<i32>().ok().filter(|n| (0..=RTMAX - RTMIN).contains(n));
    if let Some(digits) = name.strip_prefix("RTMIN+") {
        return offset(digits).map(|n| RTMIN + n);
    }
    if let Some(digits) = name.strip_prefix("RTMAX-") {
        return offset(digits).map(|n| RTMAX - n);
    }
    NAMES.iter().find(|(n, _)| *n == name).map(|&(_, number)| number)
}

/// The CRI's value for a number, for ContainerStatus.stop_signal.
pub fn to_cri(number: i32) -> Signal {
    (1..=65).filter_map(|v| Signal::try_from(v).ok()).find(|&s| from_cri(s) == Some(number)).unwrap_or(Signal::Sigterm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_of_the_cri_has_a_number() {
        for value in 1..=65 {
            let signal = Signal::try_from(value).expect("the enum has 65 signals");
            let number = from_cri(signal).unwrap_or_else(|| panic!("{signal:?}"));
            assert_eq!(from_cri(to_cri(number)), Some(number));
        }
        assert_eq!(from_cri(Signal::RuntimeDefault), None);
        assert_eq!(from_cri(Signal::Sigrtminplus3), Some(37));
        assert_eq!(from_cri(Signal::Sigrtmaxminus1), Some(63));
    }

    #[test]
    fn image_texts_are_read_in_every_usual_form() {
        for text in ["SIGTERM", "TERM", "15", "sigterm"] {
            assert_eq!(parse(text), Some(15), "{text}");
        }
        for text in ["", "0", "65", "-1", "SIGFOO", "RTMIN+31", "RTMIN+", "9 "] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
