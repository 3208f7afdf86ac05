//! What always holds of a stream's window, whatever comes in whichever order.

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;

use super::window::{DropReason, Ending, Place, Policy, Rules, Window};
use super::world::{Event, UNHELD, World};

fn rules() -> impl Strategy<Value = Rules> {
    let policy =
        prop_oneof![Just(Policy::Wait), Just(Policy::DropOldest), Just(Policy::DropNewest)];
    (policy, 1_usize..6).prop_map(|(policy, max_in_flight)| Rules { policy, max_in_flight })
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (any::<u64>(), prop::option::of(0_u64..40))
            .prop_map(|(open, timeout_ms)| Event::Frame { open, timeout_ms }),
        1 => Just(Event::Repeated),
        5 => any::<usize>().prop_map(Event::Finish),
        5 => Just(Event::Take),
        1 => rules().prop_map(Event::Rules),
        2 => (0_u64..30).prop_map(Event::Pass),
        1 => Just(Event::CallDeadline),
    ]
}

proptest! {
    #[test]
    fn every_frame_has_exactly_one_result_in_order_and_every_bound_holds(
        rules in rules(),
        events in vec(event(), 0..200),
    ) {
        let mut world = World::new(rules);
        for event in &events {
            world.see(event);
        }
        world.close();
    }

    /// However fast frames come, and though every one can be taken back, some come to something.
    #[test]
    fn a_stream_that_drops_its_oldest_frames_goes_on(
        max_in_flight in 1_usize..6,
        between in 1_usize..50,
    ) {
        let mut world = World::new(Rules { policy: Policy::DropOldest, max_in_flight });
        let mut answered = 0;
        for _ in 0..20 {
            for _ in 0..between {
                world.see(&Event::Frame { open: u64::MAX, timeout_ms: None });
                while world.window.is_ready() {
                    world.see(&Event::Take);
                }
            }
            world.see(&Event::Finish(0));
            answered += 1;
        }
        let replaced = world.withdrawn.len();
        world.close();
        prop_assert_eq!(answered, 20);
        prop_assert!(world.started.len() - replaced >= 20);
    }
}

fn window(policy: Policy, max_in_flight: usize) -> Window<u64, u64, u64> {
    Window::new(Rules { policy, max_in_flight }, UNHELD)
}

fn start(window: &mut Window<u64, u64, u64>) -> Vec<Place> {
    std::iter::from_fn(|| window.start()).map(|(place, _)| place).collect()
}

#[test]
fn a_full_window_waits_or_leaves_out_as_its_policy_says() {
    for policy in [Policy::Wait, Policy::DropOldest, Policy::DropNewest] {
        let mut window = window(policy, 2);
        for number in 0..2 {
            assert!(window.reads());
            assert_eq!(window.arrive(number, (number, None), |_| unreachable!()), None);
        }
        let places = start(&mut window);
        assert_eq!(window.reads(), policy != Policy::Wait, "{policy:?}");
        match policy {
            Policy::Wait => {}
            Policy::DropOldest => {
                assert_eq!(window.arrive(2, (2, None), |_| true), Some(places[1]));
                assert_eq!(start(&mut window).len(), 1);
            }
            Policy::DropNewest => {
                assert_eq!(window.arrive(2, (2, None), |_| unreachable!()), None);
                assert!(start(&mut window).is_empty());
            }
        }
        assert!(!window.is_ready(), "the first frame's result is the first to go");
        window.finish(places[0], 7);
        assert_eq!(window.next(), Some((0, Ending::Finished(7))));
        match policy {
            Policy::Wait => assert!(window.reads()),
            Policy::DropOldest => {
                assert_eq!(window.next(), Some((1, Ending::Dropped(DropReason::Replaced))));
            }
            Policy::DropNewest => {
                window.finish(places[1], 8);
                assert_eq!(window.next(), Some((1, Ending::Finished(8))));
                assert_eq!(window.next(), Some((2, Ending::Dropped(DropReason::WindowFull))));
            }
        }
    }
}

#[test]
fn where_every_frame_is_on_a_device_only_the_newest_one_waits() {
    let mut window = window(Policy::DropOldest, 2);
    let mut places = Vec::new();
    for number in 0..5 {
        assert_eq!(window.arrive(number, (number, None), |_| false), None);
        places.extend(start(&mut window));
    }
    assert_eq!(places.len(), 2);
    window.finish(places[0], 0);
    assert!(start(&mut window).is_empty(), "a finished frame holds its place until it is taken");
    assert_eq!(window.next(), Some((0, Ending::Finished(0))));
    assert_eq!(window.start().map(|(_, number)| number), Some(4));
    window.finish(places[1], 1);
    let taken: Vec<_> = std::iter::from_fn(|| window.next()).map(|(number, _)| number).collect();
    assert_eq!(taken, [1, 2, 3]);
}

#[test]
fn a_reader_that_takes_nothing_stops_the_stream() {
    for policy in [Policy::Wait, Policy::DropOldest, Policy::DropNewest] {
        let mut window = window(policy, 3);
        let mut read = 0;
        while window.reads() {
            assert!(read < 100, "{policy:?} reads on");
            window.arrive(read, (read, None), |_| false);
            for place in start(&mut window) {
                window.finish(place, 0);
            }
            read += 1;
        }
        let expected = match policy {
            Policy::Wait => 3,
            // The last one waits for a place.
            Policy::DropOldest => 3 + UNHELD as u64 + 1,
            Policy::DropNewest => 3 + UNHELD as u64,
        };
        assert_eq!(read, expected, "{policy:?}");
    }
}

#[test]
fn a_frame_that_waits_for_a_place_expires_there() {
    let now = Instant::now();
    let at = |ms| now + Duration::from_millis(ms);
    let mut window = window(Policy::DropOldest, 1);
    window.arrive(0, (0, Some(at(10))), |_| false);
    let places = start(&mut window);
    window.arrive(1, (1, Some(at(20))), |_| false);
    assert_eq!(window.next_expiry(), Some(at(20)), "the frame at work ends by its work's deadline");
    window.expire(at(19));
    assert_eq!(window.unsent(), 0);
    window.expire(at(20));
    assert_eq!(window.next_expiry(), None);
    window.finish(places[0], 0);
    assert_eq!(window.next(), Some((0, Ending::Finished(0))));
    assert_eq!(window.next(), Some((1, Ending::Expired)));
}
