//! Connects to whichever of a host's addresses answers first (RFC 8305).
//!
//! A machine may have an IPv6 address and no way out by IPv6, and one of several servers may be
//! dead.  So the families take turns, and an address that does not answer is not waited for long.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep;

/// How long an address is waited for before the next one is tried beside it (RFC 8305 §5).
pub(super) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The most addresses of one host that are tried; no mail server has more.
pub(super) const ADDRESS_LIMIT: usize = 16;

/// An address that could not be connected to, and why.
pub(super) type Failed = (SocketAddr, io::Error);

/// The addresses in the order in which they are tried: the families take turns, beginning with
/// that of the first, and each keeps the resolver's order (RFC 8305 §4).
pub(super) fn interleaved(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let addresses: Vec<SocketAddr> = addresses.into_iter().collect();
    let leads = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == leads);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let turns = std::iter::from_fn(|| match (first.next(), second.next()) {
        (None, None) => None,
        (a, b) => Some(a.into_iter().chain(b)),
    });
    turns.flatten().take(ADDRESS_LIMIT).collect()
}

/// Tries the addresses in their order.  The next attempt begins `delay` after the one before, or
/// at once when one fails; the first to succeed wins and the others are dropped.
///
/// # Errors
/// Every address with its failure, in the order in which they failed.
pub(super) async fn race<T, F: Future<Output = io::Result<T>>>(
    addresses: Vec<SocketAddr>,
    delay: Duration,
    attempt: impl Fn(SocketAddr) -> F,
) -> Result<T, Vec<Failed>> {
    let begin = |address| {
        let attempt = attempt(address);
        async move { (address, attempt.await) }
    };
    let mut waiting = addresses.into_iter();
    let mut running: FuturesUnordered<_> = waiting.next().map(begin).into_iter().collect();
    let mut failed = Vec::new();
    loop {
        tokio::select! {
            biased;
            Some((address, outcome)) = running.next() => match outcome {
                Ok(connection) => return Ok(connection),
                Err(error) => failed.push((address, error)),
            },
            () = sleep(delay), if waiting.len() > 0 => {}
            else => return Err(failed),
        }
        running.extend(waiting.next().map(begin));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const NEVER: Duration = Duration::from_secs(86_400);

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().expect("an address")).collect()
    }

    /// Races addresses, each of which does what its port says; returns the winner or what failed, and
    /// in which order the attempts began.
    async fn run(ports: &[u16], delay: Duration) -> (Result<u16, Vec<u16>>, Vec<u16>) {
        const REFUSES: u16 = 100;
        const HANGS: u16 = 200;
        let begun = Mutex::new(Vec::new());
        let addresses = ports.iter().map(|&port| SocketAddr::from(([192, 0, 2, 1], port))).collect();
        let outcome = race(addresses, delay, async |address: SocketAddr| {
            begun.lock().expect("whole").push(address.port());
            match address.port() {
                HANGS.. => std::future::pending().await,
                REFUSES.. => Err(io::ErrorKind::ConnectionRefused.into()),
                port => Ok(port),
            }
        });
        let outcome = outcome.await.map_err(|failed| failed.iter().map(|(address, _)| address.port()).collect());
        (outcome, begun.into_inner().expect("whole"))
    }

    #[test]
    fn the_families_take_turns_and_each_keeps_its_order() {
        let (a, b, c) = ("[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::3]:1");
        let (x, y) = ("192.0.2.1:1", "192.0.2.2:1");
        for (found, want) in [
            (&[a, b, c, x, y][..], &[a, x, b, y, c][..]),
            (&[x, y, a], &[x, a, y]),
            (&[b, a], &[b, a]),
            (&[y], &[y]),
            (&[], &[]),
        ] {
            assert_eq!(interleaved(addresses(found)), addresses(want));
        }
    }

    #[test]
    fn a_name_with_a_thousand_addresses_has_a_few_of_each_family_tried() {
        let many = (1..1000).map(|port| SocketAddr::from(([192, 0, 2, 1], port)));
        let tried = interleaved(many.chain(addresses(&["[2001:db8::1]:1"])));
        assert_eq!((tried.len(), tried[1].is_ipv6()), (ADDRESS_LIMIT, true));
    }

    #[tokio::test]
    async fn an_address_that_fails_is_followed_at_once_and_all_failures_are_told() {
        assert_eq!(run(&[100, 101, 1, 2], NEVER).await, (Ok(1), vec![100, 101, 1]));
        assert_eq!(run(&[100, 101], NEVER).await, (Err(vec![100, 101]), vec![100, 101]));
        assert_eq!(run(&[], NEVER).await, (Err(vec![]), vec![]));
    }

    #[tokio::test]
    async fn an_address_that_says_nothing_is_waited_for_only_so_long() {
        assert_eq!(run(&[200, 1], Duration::ZERO).await, (Ok(1), vec![200, 1]));
        assert_eq!(run(&[200, 100, 201, 1], Duration::ZERO).await, (Ok(1), vec![200, 100, 201, 1]));
    }

    #[tokio::test]
    async fn nothing_else_is_tried_before_the_first_address_had_its_time() {
        assert_eq!(run(&[1, 2], NEVER).await, (Ok(1), vec![1]));
    }
}
