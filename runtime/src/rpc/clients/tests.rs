// SPDX-License-Identifier: Apache-2.0

use super::open::Open;
use super::*;

fn clients(connections: usize, requests: usize, bytes: usize) -> Arc<Clients> {
    Clients::new(Bounds { connections, requests, bytes })
}

#[tokio::test(start_paused = true)]
async fn of_too_many_connections_the_quietest_without_a_request_is_closed() {
    let clients = clients(3, 9, 9);
    let mut admitted = Vec::new();
    for _ in 0..3 {
        admitted.push(clients.admit());
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let _request = Open::begin(&admitted[0]);
    admitted[1].mark_active();
    admitted.push(clients.admit());
    assert!(admitted.iter().map(|c| c.is_closing()).eq([false, false, true, false]));
    // The closing one no longer counts, so the next connection closes one more.
    admitted.push(clients.admit());
    assert!(admitted.iter().map(|c| c.is_closing()).eq([false, true, true, false, false]));
    admitted.iter().for_each(|c| clients.remove(c));
    assert!(clients.connected().is_empty());
}

#[tokio::test(start_paused = true)]
async fn when_all_have_requests_the_quietest_is_closed_and_the_new_one_is_admitted() {
    let clients = clients(2, 9, 9);
    let admitted = [clients.admit(), clients.admit()];
    let _requests = admitted.each_ref().map(Open::begin);
    tokio::time::advance(Duration::from_secs(1)).await;
    admitted[0].mark_active();
    assert!(!clients.admit().is_closing());
    assert!(admitted.iter().map(|c| c.is_closing()).eq([false, true]));
}

#[tokio::test]
async fn of_too_many_requests_or_bytes_the_largest_holder_is_closed() {
    let clients = clients(9, 4, 100);
    let (greedy, modest) = (clients.admit(), clients.admit());
    let _held: Vec<Open> = (0..4).map(|_| Open::begin(&greedy)).collect();
    let open = Open::begin(&modest);
    assert!(greedy.is_closing() && !modest.is_closing());
    let other = clients.admit();
    open.hold(40);
    Open::begin(&other).hold(90);
    assert!(other.is_closing() && !modest.is_closing());
    open.hold(70);
    assert!(modest.is_closing());
    drop(open);
    assert_eq!(clients.bytes.load(Ordering::Relaxed), 0);
}
