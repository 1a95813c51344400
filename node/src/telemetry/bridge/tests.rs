//! The metrics text is read whole, with names, labels and values.

use super::*;

#[test]
fn series_of_the_metrics_text_are_read_with_their_labels() {
    let text = "# HELP haulout_epoch Epoch.\n# TYPE haulout_epoch gauge\nhaulout_epoch 7\n\
        # TYPE haulout_sliver_stored counter\nhaulout_sliver_stored_total{axis=\"primary\"} 3\n\
        haulout_sliver_stored_total{axis=\"a,\\\"b\\\"\",x=\"\"} 4\n\
        # TYPE libp2p_ping histogram\nlibp2p_ping_bucket{le=\"+Inf\"} 2\nlibp2p_ping_sum 0.5\n# EOF\n";
    let snapshot = parse(text);
    assert_eq!(snapshot["haulout_epoch"], (false, vec![(vec![], 7.0)]));
    let (counts, series) = &snapshot["haulout_sliver_stored_total"];
    assert!(counts);
    assert_eq!(series[0], (vec![("axis".into(), "primary".into())], 3.0));
    assert_eq!(series[1].0, [("axis".into(), "a,\"b\"".into()), ("x".into(), String::new())]);
    assert!(snapshot["libp2p_ping_bucket"].0 && snapshot["libp2p_ping_sum"].0);
}

#[test]
fn the_text_of_a_real_registry_is_read_whole() {
    let text = Metrics::new("0.1.0", "0x01").encode();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count();
    let read: usize = parse(&text).values().map(|(_, series)| series.len()).sum();
    assert_eq!(read, lines);
}
