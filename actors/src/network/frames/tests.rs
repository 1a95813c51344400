//! Frames over scripted readers and writers.

use futures::io::{AllowStdIo, Cursor};

use super::*;

const IDLE: Duration = Duration::from_millis(100);

fn frame(announced: u32, body: &[u8]) -> Cursor<Vec<u8>> {
    Cursor::new([&announced.to_be_bytes(), body].concat())
}

#[tokio::test]
async fn a_frame_above_its_limit_is_refused_before_its_body_is_read() {
    let mut io = frame(u32::MAX, b"");
    let error = read_body(&mut io, &mut Tempo::ours(IDLE), 1000).await.unwrap_err();
    assert!(matches!(error, StreamError::TooLarge { announced: u32::MAX, max: 1000 }));
    assert_eq!(error.blame(), Some(Blame::TooLarge));
}

#[tokio::test]
async fn a_frame_that_ends_early_is_closed_not_malformed() {
    for (announced, body) in [(4, &b""[..]), (4, b"abc"), (1 << 30, b"abc")] {
        let error = read_body(&mut frame(announced, body), &mut Tempo::ours(IDLE), u32::MAX)
            .await
            .unwrap_err();
        assert!(matches!(error, StreamError::Closed), "{error}");
    }
}

#[tokio::test]
async fn frames_of_every_size_come_through() {
    for length in [0, 1, limits::FRAME_STEP_BYTES - 1, limits::FRAME_STEP_BYTES + 1, 1 << 20] {
        let body = vec![7; length];
        let length = u32::try_from(length).unwrap();
        let mut tempo = Tempo::ours(IDLE);
        let read = read_body(&mut frame(length, &body), &mut tempo, length).await;
        assert_eq!(read.unwrap(), body);
    }
}

/// Never gives a byte.
struct Silent;

impl AsyncRead for Silent {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        _: &mut [u8],
    ) -> std::task::Poll<io::Result<usize>> {
        std::task::Poll::Pending
    }
}

#[tokio::test]
async fn a_silent_peer_times_out() {
    let error = read_exact(&mut Silent, &mut Tempo::ours(IDLE), &mut [0; 8]).await.unwrap_err();
    assert!(matches!(error, StreamError::TimedOut(IDLE)));
    assert_eq!(error.blame(), Some(Blame::Silent));
}

/// Gives one byte each 90 ms: never idle, never done.
struct Drip(Option<std::pin::Pin<Box<tokio::time::Sleep>>>);

impl AsyncRead for Drip {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut [u8],
    ) -> std::task::Poll<io::Result<usize>> {
        let pause = Duration::from_millis(90);
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
        std::task::ready!(sleep.as_mut().poll(context));
        self.0 = None;
        buffer[0] = 1;
        std::task::Poll::Ready(Ok(1))
    }
}

#[tokio::test]
async fn a_peer_that_drips_is_too_slow() {
    let started = Instant::now();
    let error =
        read_exact(&mut Drip(None), &mut Tempo::ours(IDLE), &mut [0; 40_000]).await.unwrap_err();
    assert!(matches!(error, StreamError::TooSlow), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn writing_writes_everything() {
    let mut io = AllowStdIo::new(Vec::new());
    write_all(&mut io, &mut Tempo::ours(IDLE), &[1; 100_000]).await.unwrap();
    assert_eq!(io.into_inner(), [1; 100_000]);
}

/// Takes no byte.
struct Stuck;

impl AsyncWrite for Stuck {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        _: &[u8],
    ) -> std::task::Poll<io::Result<usize>> {
        std::task::Poll::Pending
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Pending
    }

    fn poll_close(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

const CREDIT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn on_a_stream_that_a_peer_opened_neither_silence_nor_a_byte_now_and_then_lasts() {
    let mut tempo = Tempo::theirs(CREDIT, Place::sample());
    let error = read_exact(&mut Silent, &mut tempo, &mut [0; 8]).await.unwrap_err();
    assert!(matches!(error, StreamError::TimedOut(CREDIT)), "{error}");
    let mut tempo = Tempo::theirs(CREDIT, Place::sample());
    let error = read_exact(&mut Drip(None), &mut tempo, &mut [0; 40_000]).await.unwrap_err();
    assert!(matches!(error, StreamError::TooSlow), "{error}");
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_cut_off_too() {
    let mut tempo = Tempo::theirs(CREDIT, Place::sample());
    let error = write_all(&mut Stuck, &mut tempo, &[0; 1 << 20]).await.unwrap_err();
    assert!(matches!(error, StreamError::TimedOut(CREDIT)), "{error}");
    let mut tempo = Tempo::theirs(CREDIT, Place::sample());
    assert!(tempo.wait(Stuck.flush()).await.is_err());
}

#[tokio::test]
async fn a_pause_is_allowed_once() {
    let pause = Duration::from_millis(700);
    let mut tempo = Tempo::theirs(CREDIT, Place::sample());
    tempo.theirs.as_mut().unwrap().pause = pause;
    let error = read_exact(&mut Silent, &mut tempo, &mut [0; 1]).await.unwrap_err();
    assert!(matches!(error, StreamError::TimedOut(waited) if waited == CREDIT + pause), "{error}");
    let mut tempo = Tempo::theirs(CREDIT, Place::sample());
    tempo.theirs.as_mut().unwrap().pause = pause;
    read_exact(&mut Cursor::new(vec![0; 8]), &mut tempo, &mut [0; 8]).await.unwrap();
    let error = read_exact(&mut Silent, &mut tempo, &mut [0; 1]).await.unwrap_err();
    assert!(!matches!(error, StreamError::TimedOut(waited) if waited > CREDIT), "{error}");
}

#[tokio::test]
async fn whoever_lost_its_place_moves_nothing_more() {
    let place = Place::sample();
    let mut tempo = Tempo::theirs(CREDIT, place.clone());
    place.evict();
    let error = read_exact(&mut frame(0, b""), &mut tempo, &mut [0; 4]).await.unwrap_err();
    assert!(matches!(error, StreamError::Evicted), "{error}");
    assert_eq!(error.blame(), None, "others were better, that is all");
}

#[test]
fn a_writer_on_a_thin_line_keeps_its_streams() {
    let mut credit = credit_of(limits::STREAM_CREDIT);
    for _ in 0..1_000 {
        credit.moved(1024, 400_000);
        assert!(credit.left_us() > 0, "2.5 KiB a second are enough");
    }
}
