//! Segments: the stretches of a video in which a prompt holds, and the strongest of them.

use std::time::Duration;

use super::clock::Time;
use super::hysteresis::Sighting;

/// The frame at which a prompt shows best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// The frame's number.
    pub sequence: u64,
    /// When it is shown.
    pub time: Time,
    /// Its own score, not smoothed.
    pub score: f32,
}

impl Peak {
    fn new(sighting: &Sighting) -> Self {
        Self { sequence: sighting.sequence, time: sighting.time, score: sighting.score }
    }

    /// The higher of the two; of equals, the earlier.
    pub(super) fn or_higher(peak: Option<Self>, sighting: &Sighting) -> Self {
        match peak {
            Some(peak) if peak.score >= sighting.score => peak,
            Some(_) | None => Self::new(sighting),
        }
    }
}

/// A stretch in which a prompt holds, from the first to the last of its frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segment {
    /// Number of its first frame.
    pub first_sequence: u64,
    /// Number of its last frame, up to now.
    pub last_sequence: u64,
    /// When its first frame is shown.
    pub start: Time,
    /// When its last frame is shown.
    pub end: Time,
    /// Its frame with the highest score.
    pub peak: Peak,
    /// Mean of its frames' scores, not smoothed.
    pub mean_score: f64,
    /// Its frames with a score.
    pub frames: u64,
}

impl Segment {
    /// One frame long.
    pub(super) fn new(first: &Sighting) -> Self {
        Self {
            first_sequence: first.sequence,
            last_sequence: first.sequence,
            start: first.time,
            end: first.time,
            peak: Peak::new(first),
            mean_score: f64::from(first.score),
            frames: 1,
        }
    }

    /// One frame longer.
    pub(super) fn extend(&mut self, next: &Sighting) {
        self.last_sequence = next.sequence;
        self.end = next.time;
        self.peak = Peak::or_higher(Some(self.peak), next);
        self.frames = self.frames.saturating_add(1);
        self.mean_score += (f64::from(next.score) - self.mean_score) / self.frames as f64;
    }

    /// From its first frame to its last.
    pub fn duration(&self) -> Duration {
        self.end.since(self.start)
    }
}

/// The segments of one prompt: all are counted, those with the highest peaks are kept.
#[derive(Clone, Debug)]
pub(super) struct Log {
    limit: usize,
    kept: Vec<Segment>,
    count: u64,
    duration: Duration,
}

impl Log {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, kept: Vec::new(), count: 0, duration: Duration::ZERO }
    }

    /// Takes a segment in. Of equal peaks, the earlier stays.
    pub(super) fn add(&mut self, segment: Segment) {
        self.count = self.count.saturating_add(1);
        self.duration = self.duration.saturating_add(segment.duration());
        if self.kept.len() < self.limit {
            self.kept.push(segment);
            return;
        }
        // The later of equally weak ones makes room.
        let by_peak = |(_, a): &(usize, Segment), (_, b): &(usize, Segment)| {
            a.peak.score.total_cmp(&b.peak.score)
        };
        let weakest = self.kept.iter().copied().enumerate().rev().min_by(by_peak);
        if let Some((place, weakest)) = weakest
            && segment.peak.score > weakest.peak.score
        {
            // In the order of the frames, so that the newest stands last.
            self.kept.remove(place);
            self.kept.push(segment);
        }
    }

    /// Those kept, in the order of the frames.
    pub(super) fn kept(&self) -> &[Segment] {
        &self.kept
    }

    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// How long they were together.
    pub(super) fn duration(&self) -> Duration {
        self.duration
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(sequence: u64, ms: i64, score: f32) -> Sighting {
        Sighting { sequence, time: Time(ms * 1_000_000), score, computed: true }
    }

    #[test]
    fn a_segment_knows_its_frames_and_its_peak() {
        let mut segment = Segment::new(&sighting(3, 100, 0.2));
        assert_eq!(segment.duration(), Duration::ZERO);
        for next in [sighting(4, 140, 0.6), sighting(7, 260, 0.6), sighting(8, 300, 0.2)] {
            segment.extend(&next);
        }
        let peak = Peak { sequence: 4, time: Time(140_000_000), score: 0.6 };
        assert_eq!((segment.first_sequence, segment.last_sequence), (3, 8));
        assert_eq!((segment.peak, segment.frames), (peak, 4));
        assert_eq!(segment.duration(), Duration::from_millis(200));
        assert!((segment.mean_score - 0.4).abs() < 1e-6);
    }

    #[test]
    fn the_strongest_are_kept_and_all_are_counted() {
        let check = |limit, peaks: &[f32], kept: &[u64]| {
            let mut log = Log::new(limit);
            for (sequence, &score) in (0..).zip(peaks) {
                let mut segment = Segment::new(&sighting(sequence, 0, score));
                segment.extend(&sighting(sequence, 10, -1.0));
                log.add(segment);
            }
            let numbers: Vec<u64> = log.kept().iter().map(|s| s.first_sequence).collect();
            assert_eq!(numbers, kept, "{peaks:?}");
            assert_eq!(log.count(), peaks.len() as u64);
            assert_eq!(log.duration(), Duration::from_millis(10) * peaks.len() as u32);
        };
        check(3, &[0.1, 0.2], &[0, 1]);
        check(3, &[0.1, 0.5, 0.2, 0.3, 0.05], &[1, 2, 3]);
        check(2, &[0.4, 0.4, 0.4, 0.5], &[0, 3]);
        check(0, &[0.4, 0.5], &[]);
    }
}
