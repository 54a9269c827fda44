//! The samples of a JPEG-LS scan: ITU-T T.87, annex A.

use crate::bit_reader::BitReader;
use crate::fault::Fault;

/// Coding parameters, with `near < thresholds[0] <= … <= max`.
pub(crate) struct Parameters {
    /// Greatest sample.
    pub(crate) max: i64,
    /// Greatest difference between a decoded sample and the original.
    pub(crate) near: i64,
    pub(crate) thresholds: [i64; 3],
    /// Samples of a context after which the sums of the context are halved.
    pub(crate) reset: i64,
}

/// Bits of a run's length, by run index: A.2.1.
const RUN_BITS: [u32; 32] = [
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13,
    14, 15,
];

/// The sums of a context in regular mode.
#[derive(Clone, Copy)]
struct Context {
    magnitude: i64,
    bias: i64,
    correction: i64,
    n: i64,
}

/// The sums of a context at the end of a run.
#[derive(Clone, Copy)]
struct RunContext {
    magnitude: i64,
    n_negative: i64,
    n: i64,
}

struct Decoder<'a, 'b> {
    parameters: &'a Parameters,
    bits: &'a mut BitReader<'b>,
    /// Number of values that a prediction error can have.
    range: i64,
    /// Bits of a prediction error.
    error_bits: u32,
    /// Greatest length of a code, in bits.
    limit: u32,
    contexts: Vec<Context>,
    run_contexts: [RunContext; 2],
    run_index: usize,
}

/// Decodes all samples, row by row.
pub(crate) fn decode(
    parameters: &Parameters,
    bits: &mut BitReader,
    columns: usize,
    values: &mut [u16],
) -> Result<(), Fault> {
    let &Parameters { max, near, .. } = parameters;
    let range = (max + 2 * near) / (2 * near + 1) + 1;
    let bits_of = |values: i64| 64 - (values - 1).leading_zeros();
    let sample_bits = bits_of(max + 1).max(2);
    let magnitude = ((range + 32) >> 6).max(2);
    let mut decoder = Decoder {
        parameters,
        bits,
        range,
        error_bits: bits_of(range),
        limit: 2 * (sample_bits + sample_bits.max(8)),
        contexts: vec![Context { magnitude, bias: 0, correction: 0, n: 1 }; 365],
        run_contexts: [RunContext { magnitude, n_negative: 0, n: 1 }; 2],
        run_index: 0,
    };
    // Each row has one more sample before it and one after.
    let (mut above, mut row) = (vec![0; columns + 2], vec![0; columns + 2]);
    for values in values.chunks_exact_mut(columns) {
        // A.2.1: samples outside the image repeat the first sample above and the last one of the row above.
        row[0] = above[1];
        above[columns + 1] = above[columns];
        decoder.row(&above, &mut row)?;
        for (value, sample) in values.iter_mut().zip(&row[1..]) {
            *value = *sample as u16;
        }
        std::mem::swap(&mut above, &mut row);
    }
    Ok(())
}

impl Decoder<'_, '_> {
    fn row(&mut self, above: &[i64], row: &mut [i64]) -> Result<(), Fault> {
        let end = row.len() - 1;
        let mut i = 1;
        while i < end {
            // Ra, Rb, Rc and Rd of figure 3.
            let (a, b, c, d) = (row[i - 1], above[i], above[i - 1], above[i + 1]);
            let context = [d - b, b - c, c - a].map(|gradient| self.quantized(gradient));
            let context = (context[0] * 9 + context[1]) * 9 + context[2];
            if context != 0 {
                row[i] = self.regular(context, [a, b, c])?;
                i += 1;
                continue;
            }
            let n = self.run_length(end - i)?;
            row[i..i + n].fill(a);
            i += n;
            if i < end {
                row[i] = self.run_end(a, above[i])?;
                self.run_index = self.run_index.saturating_sub(1);
                i += 1;
            }
        }
        Ok(())
    }

    /// The region of a gradient, -4 to 4: A.3.3.
    #[inline]
    fn quantized(&self, gradient: i64) -> i64 {
        let [t1, t2, t3] = self.parameters.thresholds;
        let size = gradient.abs();
        let region = i64::from(size > self.parameters.near)
            + i64::from(size >= t1)
            + i64::from(size >= t2)
            + i64::from(size >= t3);
        region * gradient.signum()
    }

    /// Decodes a sample in regular mode: A.4 to A.6.
    #[inline]
    fn regular(&mut self, context: i64, [a, b, c]: [i64; 3]) -> Result<i64, Fault> {
        let sign = context.signum();
        let at = context.unsigned_abs() as usize;
        let &Parameters { max, near, reset, .. } = self.parameters;
        let Context { magnitude, bias, correction, n } = self.contexts[at];
        let predicted = if c >= a.max(b) {
            a.min(b)
        } else if c <= a.min(b) {
            a.max(b)
        } else {
            a + b - c
        };
        let predicted = (predicted + sign * correction).clamp(0, max);
        let k = golomb(magnitude, n)?;
        let mapped = self.code(k, self.limit)?;
        // A.5.2: even codes are positive errors and odd ones negative, unless the bias inverts them.
        let half = mapped >> 1;
        let inverted = near == 0 && k == 0 && 2 * bias <= -n;
        let error = if (mapped & 1 == 1) == inverted { half } else { -half - 1 };
        let context = &mut self.contexts[at];
        context.bias += error * (2 * near + 1);
        context.magnitude += error.abs();
        if context.n == reset {
            context.magnitude >>= 1;
            context.bias >>= 1;
            context.n >>= 1;
        }
        context.n += 1;
        if context.bias <= -context.n {
            context.bias = (context.bias + context.n).max(1 - context.n);
            context.correction = (context.correction - 1).max(-128);
        } else if context.bias > 0 {
            context.bias = (context.bias - context.n).min(0);
            context.correction = (context.correction + 1).min(127);
        }
        Ok(self.sample(predicted, sign * error))
    }

    /// Number of samples, at most `rest`, that repeat the one before: A.7.1.
    fn run_length(&mut self, rest: usize) -> Result<usize, Fault> {
        let mut n = 0;
        while self.bits.take(1)? == 1 {
            let whole = 1 << RUN_BITS[self.run_index];
            if whole > rest - n {
                return Ok(rest);
            }
            n += whole;
            self.run_index = (self.run_index + 1).min(RUN_BITS.len() - 1);
            if n == rest {
                return Ok(n);
            }
        }
        n += self.bits.take(RUN_BITS[self.run_index])? as usize;
        if n < rest {
            Ok(n)
        } else {
            Err(Fault::new(format!("a run of {n}"), format!("under {rest}")))
        }
    }

    /// Decodes the sample that ends a run: A.7.2.
    fn run_end(&mut self, a: i64, b: i64) -> Result<i64, Fault> {
        let &Parameters { near, reset, .. } = self.parameters;
        let alike = (a - b).abs() <= near;
        let (predicted, sign) = if alike { (a, 1) } else { (b, if a > b { -1 } else { 1 }) };
        let RunContext { magnitude, n_negative, n } = self.run_contexts[usize::from(alike)];
        let k = golomb(magnitude + if alike { n >> 1 } else { 0 }, n)?;
        let coded = self.code(k, self.limit - RUN_BITS[self.run_index] - 1)?;
        let mapped = coded + i64::from(alike);
        let odd = mapped & 1;
        let size = (mapped + odd) >> 1;
        let negative = (k != 0 || 2 * n_negative >= n) == (odd == 1);
        let error = if negative { -size } else { size };
        let context = &mut self.run_contexts[usize::from(alike)];
        context.n_negative += i64::from(error < 0);
        context.magnitude += (coded + 1 - i64::from(alike)) >> 1;
        if context.n == reset {
            context.magnitude >>= 1;
            context.n_negative >>= 1;
            context.n >>= 1;
        }
        context.n += 1;
        Ok(self.sample(predicted, sign * error))
    }

    /// A prediction plus its error, modulo the range: A.4.4 and A.8.
    #[inline]
    fn sample(&self, predicted: i64, error: i64) -> i64 {
        let &Parameters { max, near, .. } = self.parameters;
        let (step, sample) = (2 * near + 1, predicted + error * (2 * near + 1));
        let sample = if sample < -near {
            sample + self.range * step
        } else if sample > max + near {
            sample - self.range * step
        } else {
            sample
        };
        sample.clamp(0, max)
    }

    /// Takes a limited-length Golomb code: A.5.3.
    #[inline]
    fn code(&mut self, k: u32, limit: u32) -> Result<i64, Fault> {
        let longest = limit - self.error_bits - 1;
        let n_zeros = self.bits.zeros(longest)?;
        let value = if n_zeros < longest {
            i64::from(n_zeros) << k | i64::from(self.bits.take(k)?)
        } else {
            i64::from(self.bits.take(self.error_bits)?) + 1
        };
        if value > 2 * self.range {
            return Err(Fault::new(format!("a mapped error of {value}"), 2 * self.range));
        }
        Ok(value)
    }
}

/// Bits of the remainder in a Golomb code: A.5.1.
#[inline]
fn golomb(magnitude: i64, n: i64) -> Result<u32, Fault> {
    let mut k = 0;
    while n << k < magnitude {
        k += 1;
        if k > 24 {
            return Err(Fault::new("prediction errors that grow", "those of an image"));
        }
    }
    Ok(k)
}
