//! Notifications to systemd (sd_notify(3)); without systemd, nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;

/// The service is ready, or ready again after a reload.
pub fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload begins; [`ready`] ends it (`Type=notify-reload`).
pub fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        send(&[NotifyState::Reloading, now]);
    }
}

/// The service ends.
pub fn stopping() {
    send(&[NotifyState::Stopping, NotifyState::Status("finishing what is in flight")]);
}

/// One line about what is going on.
pub fn status(text: &str) {
    send(&[NotifyState::Status(text)]);
}

/// The service's loop is alive.
pub fn alive() {
    send(&[NotifyState::Watchdog]);
}

/// How often [`alive`] must be called: half of systemd's watchdog limit.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2).filter(|half| !half.is_zero())
}

fn send(states: &[NotifyState<'_>]) {
    // There is no one to report a failure to.
    let _ = sd_notify::notify(states);
}
