//! HD95 and ASSD of pairs of masks by nodulus and, if `NODULUS_PYTHON` names an interpreter with them, by `MedPy` and MONAI
//! on the same voxels.
//!
//! Rounds alternate between nodulus and the peers (`benches/peers/metrics.py`), so that a busy machine slows down all of
//! them. Prints the median of the rounds.

use nodulus_formats::volume::Mask;
use nodulus_metrics::surface::SurfaceDistances;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

const ROUNDS: usize = 5;

/// Two masks on one grid.
struct Pair {
    name: &'static str,
    size: [usize; 3],
    spacing_mm: [f64; 3],
    /// Calls of nodulus in a round.
    calls: usize,
    masks: [Mask; 2],
}

/// Two ellipsoids, by their centres and radii in voxels.
fn pair(
    name: &'static str,
    (size, spacing_mm): ([usize; 3], [f64; 3]),
    calls: usize,
    ellipsoids: [([f64; 3], [f64; 3]); 2],
) -> Pair {
    let masks = ellipsoids.map(|(centre, radii)| {
        Mask::from_fn(size, |i, j, k| {
            let voxel = [i as f64, j as f64, k as f64];
            (0..3).map(|a| ((voxel[a] - centre[a]) / radii[a]).powi(2)).sum::<f64>() <= 1.0
        })
    });
    Pair { name, size, spacing_mm, calls, masks }
}

fn pairs() -> Vec<Pair> {
    let slice = ([128, 128, 1], [0.7, 0.7, 1.25]);
    let volume = ([512, 512, 120], [0.7, 0.7, 2.5]);
    vec![
        pair(
            "slice, 128 × 128",
            slice,
            2_000,
            [([62.0, 64.0, 0.0], [26.0, 22.0, 1.0]), ([65.0, 66.0, 0.0], [21.0, 25.0, 1.0])],
        ),
        // Lesions of 10 cm, a hard case.
        pair(
            "volume, 512 × 512 × 120",
            volume,
            20,
            [
                ([200.0, 260.0, 60.0], [70.0, 66.0, 20.0]),
                ([206.0, 256.0, 61.0], [64.0, 70.0, 21.0]),
            ],
        ),
    ]
}

/// A running peer that times metrics of the masks in a folder.
struct Peer {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    fn start(python: &str, folder: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/metrics.py");
        let mut child = Command::new(python)
            .arg(script)
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("an interpreter");
        let asks = child.stdin.take().expect("a pipe");
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, asks, answers }
    }

    /// The answer to a line.
    fn ask(&mut self, line: &str) -> Vec<(String, f64, f64)> {
        writeln!(self.asks, "{line}").expect("a running peer");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("a running peer");
        serde_json::from_str(&answer).expect("names, seconds and ASSD")
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pairs = pairs();
    for (n, pair) in pairs.iter().enumerate() {
        for (side, mask) in pair.masks.iter().enumerate() {
            let bytes: Vec<u8> = mask.to_bools().into_iter().map(u8::from).collect();
            fs_err::write(folder.path().join(format!("{n}-{side}.raw")), bytes).expect("space");
        }
    }
    let mut peer = std::env::var("NODULUS_PYTHON").ok().map(|p| Peer::start(&p, folder.path()));
    for (n, pair) in pairs.iter().enumerate() {
        let mut own = Vec::new();
        let mut others: Vec<(String, Vec<f64>)> = Vec::new();
        let mut numbers = [0.0; 2];
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            for _ in 0..pair.calls {
                let [prediction, reference] = black_box(&pair.masks);
                let found = SurfaceDistances::between(prediction, reference, pair.spacing_mm);
                let found = found.expect("masks with voxels");
                numbers = black_box([found.hausdorff_95(), found.assd()]);
            }
            own.push(begun.elapsed().as_secs_f64() / pair.calls as f64);
            let Some(peer) = &mut peer else { continue };
            let [size, spacing] = [format!("{:?}", pair.size), format!("{:?}", pair.spacing_mm)];
            let line = format!("{{\"pair\": {n}, \"size\": {size}, \"spacing_mm\": {spacing}}}");
            for (name, seconds, assd) in peer.ask(&line) {
                // MONAI works in single precision.
                let off = (assd - numbers[1]).abs();
                assert!(off < 1e-5, "{name}: ASSD {assd}, nodulus {}", numbers[1]);
                match others.iter_mut().find(|(other, _)| *other == name) {
                    Some((_, times)) => times.push(seconds),
                    None => others.push((name, vec![seconds])),
                }
            }
        }
        let own = median(&mut own);
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}: nodulus {:.4} ms, {numbers:?}", pair.name, 1e3 * own)
            .expect("a terminal");
        for (name, mut times) in others {
            let other = median(&mut times);
            writeln!(out, "  {name}: {:.3} ms, {:.1} times", 1e3 * other, other / own)
                .expect("a terminal");
        }
    }
    if let Some(mut peer) = peer {
        drop(peer.asks);
        peer.child.wait().expect("a peer that ends");
    }
}
