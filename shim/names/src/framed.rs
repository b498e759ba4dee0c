// SPDX-License-Identifier: Apache-2.0
//! Messages on a connection, each after its length in two bytes (RFC 7766).

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

/// One end of a connection that never blocks. An idle one holds no buffer.
#[derive(Debug)]
pub(crate) struct Framed<S = TcpStream> {
    socket: S,
    /// The longest message that may come.
    max: usize,
    length: [u8; 2],
    have: usize,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    sent: usize,
}

impl<S: Read + Write> Framed<S> {
    pub(crate) fn new(socket: S, max: usize) -> Self {
        Self { socket, max, length: [0; 2], have: 0, inbox: Vec::new(), outbox: Vec::new(), sent: 0 }
    }

    /// The next message, if all of it has come. Bytes behind it are not read.
    ///
    /// # Errors
    /// The connection has ended, or a message is too long.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let target = if self.have < 2 { &mut self.length[self.have..] } else { &mut self.inbox[self.have - 2..] };
            match self.socket.read(target) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.have += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            }
            if self.have == 2 {
                let length = usize::from(u16::from_be_bytes(self.length));
                if length == 0 || length > self.max {
                    return Err(ErrorKind::InvalidData.into());
                }
                self.inbox = vec![0; length];
            }
            if self.have > 2 && self.have - 2 == self.inbox.len() {
                self.have = 0;
                return Ok(Some(std::mem::take(&mut self.inbox)));
            }
        }
    }

    /// Queues a message. One that is longer than its length can say is not a message; nothing is sent then.
    pub(crate) fn queue(&mut self, message: &[u8]) {
        if let Ok(length) = u16::try_from(message.len()) {
            self.outbox.extend_from_slice(&length.to_be_bytes());
            self.outbox.extend_from_slice(message);
        }
    }

    /// Sends what the connection takes. Returns whether all of it is sent.
    ///
    /// # Errors
    /// The connection has ended.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        while self.sent < self.outbox.len() {
            match self.socket.write(&self.outbox[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        (self.outbox, self.sent) = (Vec::new(), 0);
        Ok(true)
    }
}

impl<S: AsFd> AsFd for Framed<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    fn pair(max: usize) -> (UnixStream, Framed<UnixStream>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        (ours, Framed::new(theirs, max))
    }

    #[test]
    fn messages_come_whole_however_their_bytes_arrive() {
        let (mut ours, mut framed) = pair(3);
        let mut seen = Vec::new();
        for byte in [0, 1, b'a', 0, 3, b'b', b'c', b'd'] {
            ours.write_all(&[byte]).unwrap();
            seen.extend(framed.receive().unwrap());
        }
        assert_eq!(seen, [b"a".to_vec(), b"bcd".to_vec()]);
        drop(ours);
        assert!(framed.receive().is_err());
    }

    #[test]
    fn an_empty_message_and_one_that_is_too_long_end_the_connection() {
        for bytes in [[0, 0], [0, 4], [0xff, 0xff]] {
            let (mut ours, mut framed) = pair(3);
            ours.write_all(&bytes).unwrap();
            assert_eq!(framed.receive().unwrap_err().kind(), ErrorKind::InvalidData);
        }
    }

    #[test]
    fn what_does_not_fit_waits_for_room() {
        let (mut ours, mut framed) = pair(3);
        let message = vec![7; 0xffff];
        (0..20).for_each(|_| framed.queue(&message));
        framed.queue(&vec![0; 0x1_0000]);
        assert!(!framed.flush().unwrap());
        let reader = std::thread::spawn(move || {
            let mut all = vec![0; 20 * 0x1_0001];
            ours.read_exact(&mut all).unwrap();
            all
        });
        while !framed.flush().unwrap() {
            std::thread::yield_now();
        }
        let all = reader.join().unwrap();
        assert!(all.chunks(0x1_0001).all(|chunk| chunk[..2] == [0xff, 0xff] && chunk[2..] == message));
    }
}
