//! Every metric: its name, meaning, labels and buckets, and the one function that records it.
//!
//! Nothing outside this folder names a metric; clippy bans the raw macros elsewhere. Units are base
//! units, labels have few values: never a stream, a prompt or an address.

mod labels;
mod list;
mod record;

pub use labels::*;
pub use list::*;
pub use record::*;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::{Duration, UNIX_EPOCH};

    use metrics::{Unit, with_local_recorder};

    use super::super::exporter::recorder;
    use super::*;

    /// What Prometheus would read after `record`.
    fn rendered(record: impl FnOnce()) -> String {
        let recorder = recorder();
        let handle = recorder.handle();
        with_local_recorder(&recorder, record);
        handle.render()
    }

    fn record_everything() {
        describe_all(UNIX_EPOCH + Duration::from_secs(5));
        record_request("Verify", "OK", Duration::from_millis(700));
        for &outcome in FrameOutcome::ALL {
            record_frame(outcome, TARGET);
        }
        record_frame(FrameOutcome::Ok, TARGET + Duration::from_nanos(1));
        record_inference("clip_image", FrameOutcome::Ok, Duration::from_millis(3));
        for &stage in Stage::ALL {
            record_stage(stage, Duration::from_millis(3));
        }
        for &outcome in ItemOutcome::ALL {
            record_item("clip", outcome);
        }
        record_evidence();
        record_batch("clip", 8);
        record_queue_wait("clip", Duration::from_millis(2));
        set_load("clip", EngineLoad { queued_items: 3, queued_bytes: 70, running: 8 });
        set_replicas("clip", &[ReplicaState::Ready, ReplicaState::Down], 1);
        show_engine("clip");
        record_split("clip");
        record_late("clip", 1);
        record_replica_failure("clip");
        record_cache("text", true);
        drop(connection_opened());
        set_certificate_expiry(CertificateKind::Server, UNIX_EPOCH + Duration::from_secs(9));
        let labels = ModelLabels { name: "clip", version: "1", kind: "clip", device: "cpu" };
        set_model(labels, true);
        set_model_load("clip", Duration::from_millis(1500));
        record_drop(DropReason::Replaced, TARGET);
        record_expiry(ExpiryStage::Queue);
        record_rejection(Rejection::QueueFull);
        record_reload(Reloaded::Keys, false);
        record_stream_end(StreamEnd::Draining);
        record_reuse();
        record_spans(SpanOutcome::Sent, 3);
        set_process(ProcessUse {
            cpu: Some(Duration::from_millis(2500)),
            resident_bytes: Some(5),
            virtual_bytes: Some(6),
            open_files: Some(7),
            max_open_files: Some(8),
            threads: Some(9),
        });
        set_gpu(&GpuUse {
            index: 1,
            uuid: "GPU-1".to_owned(),
            used_bytes: Some(5),
            total_bytes: Some(80),
            busy_percent: Some(25),
        });
    }

    fn record_evidence() {
        record_retrieval(true, Duration::from_millis(4));
        record_hit(ChunkKind::Text);
        record_stored(StoredOutcome::Created);
        set_evidence(EvidenceSize {
            collections: 1,
            damaged: 5,
            items: 2,
            chunks: 3,
            disk_bytes: 4,
        });
        record_answer(Duration::from_millis(400));
        record_claim(ClaimOutcome::Supported);
    }

    #[test]
    fn names_follow_the_conventions() {
        let names: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len(), "each name stands once");
        for metric in METRICS {
            let name = metric.name;
            assert!(name.starts_with("veriframe_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), metric.shape == Shape::Counter, "{name}");
            let base = name.strip_suffix("_total").unwrap_or(name);
            assert_eq!(base.ends_with("_seconds"), metric.unit == Unit::Seconds, "{name}");
            assert_eq!(base.ends_with("_bytes"), metric.unit == Unit::Bytes, "{name}");
            assert!(metric.help.ends_with('.'), "{name}");
        }
    }

    #[test]
    fn every_metric_is_recorded_with_the_labels_it_lists() {
        let page = rendered(record_everything);
        for metric in METRICS {
            assert!(page.contains(&format!("# HELP {} {}", metric.name, metric.help)), "{page}");
            let suffix = if let Shape::Histogram(_) = metric.shape { "_count" } else { "" };
            let full = format!("{}{suffix}", metric.name);
            let line = page
                .lines()
                .find(|line| line.starts_with(&full) && line[full.len()..].starts_with(['{', ' ']))
                .unwrap_or_else(|| panic!("{full} is not in\n{page}"));
            let labels: Vec<&str> = line
                .split_once('{')
                .and_then(|(_, rest)| rest.split_once('}'))
                .map_or(Vec::new(), |(labels, _)| {
                    labels.split(',').filter_map(|label| label.split('=').next()).collect()
                });
            assert_eq!(labels, metric.labels, "{line}");
        }
        let known: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
        for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let name = line.split(' ').next().unwrap();
            assert!(known.contains(name), "{name} is not in the list");
        }
    }

    #[test]
    fn what_is_held_is_counted_until_it_is_let_go() {
        let holding = [
            ("veriframe_calls", call_began as fn() -> Held),
            ("veriframe_frames_in_flight", frame_began),
            ("veriframe_streams", stream_opened),
            ("veriframe_results_waiting", result_waits),
        ];
        for (name, begin) in holding {
            let recorder = recorder();
            let check = |expected: u32| {
                let page = recorder.handle().render();
                assert!(page.contains(&format!("\n{name} {expected}\n")), "{page}");
            };
            with_local_recorder(&recorder, || {
                describe_all(UNIX_EPOCH);
                check(0);
                let (first, second) = (begin(), begin());
                check(2);
                drop(first);
                check(1);
                drop(second);
                check(0);
            });
        }
    }

    #[test]
    fn every_known_series_is_there_before_its_first_event() {
        let page = rendered(|| describe_all(UNIX_EPOCH));
        for line in [
            "veriframe_rejected_total{cause=\"rate_quota\"} 0",
            "veriframe_dropped_total{reason=\"window_full\"} 0",
            "veriframe_expired_total{stage=\"device\"} 0",
            "veriframe_reloads_total{what=\"certificates\",outcome=\"failed\"} 0",
            "veriframe_frames_total{outcome=\"ok\"} 0",
            "veriframe_streams_ended_total{reason=\"reader_stuck\"} 0",
        ] {
            assert!(page.lines().any(|have| have == line), "{line}\n{page}");
        }
    }

    #[test]
    fn the_target_is_a_bucket_edge_and_a_frame_on_it_is_good() {
        let page = rendered(record_everything);
        let has = |line: &str| assert!(page.lines().any(|have| have == line), "{line}\n{page}");
        has("veriframe_frame_seconds_bucket{le=\"1.2\"} 4");
        has("veriframe_frame_seconds_bucket{le=\"1.8\"} 5");
        has("veriframe_request_seconds_bucket{method=\"Verify\",le=\"0.6\"} 0");
        has("veriframe_request_seconds_bucket{method=\"Verify\",le=\"0.9\"} 1");
        has("veriframe_slo_total 4");
        has("veriframe_slo_good_total 1");
        has("veriframe_batch_size_bucket{model=\"clip\",le=\"8\"} 1");
        has("veriframe_start_time_seconds 5");
        has("process_cpu_seconds_total 2");
        has("veriframe_gpu_utilisation_ratio{gpu=\"1\",uuid=\"GPU-1\"} 0.25");
        has("veriframe_model_info{name=\"clip\",version=\"1\",kind=\"clip\",device=\"cpu\"} 1");
    }
}
