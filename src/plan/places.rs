//! Which deliveries on record are those of a destination, as it is now.
//!
//! What has come to a place is there, whatever the place is called.  A destination that leads elsewhere since has
//! what it was given before; what was only tried there is owed to where it leads now.

use super::{Delivery, Place, Progress, is_over};

/// The deliveries that count for a destination of an account; `destinations` are all of them.
pub fn at_place<'a>(deliveries: &'a [Delivery], place: &Place, destinations: &[Place]) -> Vec<&'a Delivery> {
    let exactly: Vec<&Delivery> = deliveries.iter().filter(|delivery| delivery.place == *place).collect();
    if !exactly.is_empty() {
        return exactly;
    }
    let is_anothers = |delivery: &&Delivery| destinations.contains(&delivery.place);
    let here = deliveries.iter().filter(|delivery| delivery.place.location == place.location);
    let here: Vec<&Delivery> = here.filter(|delivery| !is_anothers(delivery)).collect();
    if !here.is_empty() {
        return here;
    }
    let is_elsewhere = |delivery: &&Delivery| {
        delivery.place.destination == place.destination
            && !destinations.iter().any(|other| other.location == delivery.place.location)
    };
    // It may be in a Maildir that is not there now.
    let counts = |delivery: &&Delivery| is_over(&delivery.progress) || delivery.progress == Progress::Staged;
    deliveries.iter().filter(is_elsewhere).filter(counts).collect()
}

/// Whether a destination wants nothing more of a message.
pub fn has_it(deliveries: &[Delivery], place: &Place, destinations: &[Place]) -> bool {
    at_place(deliveries, place, destinations).iter().any(|delivery| is_over(&delivery.progress))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Name;

    fn place(destination: &str, location: &str) -> Place {
        Place::maildir(Name::new(destination).expect("a name"), location, "machine")
    }

    fn delivery(destination: &str, location: &str, progress: Progress) -> Delivery {
        Delivery { place: place(destination, location), progress }
    }

    #[test]
    fn what_came_to_a_place_is_there_whatever_the_place_is_called_now() {
        let before = [delivery("home", "/a", Progress::Delivered), delivery("archive", "/b", Progress::Deferred(0))];
        for (now, want) in [
            ([place("home", "/a"), place("archive", "/b")], [true, false]),
            // Swapped, renamed, led elsewhere, each of them and both.
            ([place("home", "/b"), place("archive", "/a")], [false, true]),
            ([place("inbox", "/a"), place("archive", "/b")], [true, false]),
            ([place("home", "/c"), place("archive", "/b")], [true, false]),
            ([place("home", "/a"), place("archive", "/c")], [true, false]),
            ([place("home", "/c"), place("inbox", "/a")], [false, true]),
        ] {
            let has = [&now[0], &now[1]].map(|place| has_it(&before, place, &now));
            assert_eq!(has, want, "{now:?}");
        }
    }

    #[test]
    fn what_was_only_tried_elsewhere_is_owed_to_where_a_destination_leads_now() {
        let now = [place("home", "/new")];
        for (progress, counts) in [
            (Progress::Sending, 0),
            (Progress::Deferred(i64::MAX), 0),
            (Progress::Quarantined, 0),
            (Progress::Staged, 1),
            (Progress::Skipped, 1),
        ] {
            let before = [delivery("home", "/old", progress.clone())];
            assert_eq!(at_place(&before, &now[0], &now).len(), counts, "{progress:?}");
        }
    }
}
