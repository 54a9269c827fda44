//! Random changes of training samples beyond mirror images.

use super::batch::{IGNORED_PIXEL, TrainingSample};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Random changes of each training sample; 0 turns one off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Largest turn in degrees, to either side.
    #[schemars(range(min = 0, max = 180))]
    pub rotation_degrees: f64,
    /// Largest change of size: 0.2 shrinks or enlarges by up to a factor of 1.2.
    #[schemars(range(min = 0, max = 1))]
    pub scale: f64,
    /// Largest shift in pixels, along each axis.
    #[schemars(range(min = 0, max = 512))]
    pub shift_pixels: f64,
    /// Largest number that is added to all pixels, in units of the window (1 is its whole width).
    #[schemars(range(min = 0, max = 1))]
    pub brightness: f64,
    /// Largest change of contrast: 0.2 multiplies by up to 1.2, or divides by it.
    #[schemars(range(min = 0, max = 1))]
    pub contrast: f64,
    /// Largest standard deviation of added noise, in units of the window.
    #[schemars(range(min = 0, max = 1))]
    pub noise: f64,
}

/// Words of a random stream for each sample: more than one of seven slices of 1024 × 1024 pixels takes.
const WORDS: u128 = 1 << 26;

impl Augmentation {
    /// Whether nothing is changed.
    pub fn is_off(&self) -> bool {
        *self == Self::default()
    }

    /// Changes the `n`-th sample of an epoch; `random` is the epoch's stream. A resumed epoch changes it alike.
    ///
    /// METHOD: a turn, a change of size and a shift are drawn uniformly and done at once, the image by linear interpolation and
    /// the mask by the nearest pixel. All slices of an image change alike, but for noise, which is another one in each. Past the image's border there is air (0), which is not learnt from. The image is
    /// multiplied, shifted and clipped to 0..1 as in a window; noise is white, and is not clipped.
    pub(super) fn apply(
        &self,
        sample: &mut TrainingSample,
        side: usize,
        random: &mut ChaCha8Rng,
        n: usize,
    ) {
        if self.is_off() {
            return;
        }
        random.set_word_pos(n as u128 * WORDS);
        let mut uniform = |most: f64| most * random.random_range(-1.0..=1.0f64);
        let angle = uniform(self.rotation_degrees).to_radians();
        let factor = (1.0 + self.scale).powf(uniform(1.0));
        let shift = [uniform(self.shift_pixels), uniform(self.shift_pixels)];
        let contrast = (1.0 + self.contrast).powf(uniform(1.0)) as f32;
        let brightness = uniform(self.brightness) as f32;
        let deviation = uniform(self.noise).abs() as f32;
        if self.rotation_degrees > 0.0 || self.scale > 0.0 || self.shift_pixels > 0.0 {
            move_pixels(sample, side, angle, factor, shift);
        }
        if self.contrast > 0.0 || self.brightness > 0.0 {
            for value in &mut sample.image {
                *value = (*value * contrast + brightness).clamp(0.0, 1.0);
            }
        }
        if self.noise > 0.0 {
            for value in &mut sample.image {
                *value += deviation * Distribution::<f32>::sample(&StandardNormal, random);
            }
        }
    }
}

/// Turns, scales and shifts a sample about its centre.
fn move_pixels(sample: &mut TrainingSample, side: usize, angle: f64, factor: f64, shift: [f64; 2]) {
    let (image, mask) = (std::mem::take(&mut sample.image), std::mem::take(&mut sample.mask));
    let soft = std::mem::take(&mut sample.soft);
    let middle = (side as f64 - 1.0) / 2.0;
    let (sin, cos) = (angle.sin() / factor, angle.cos() / factor);
    let end = side as f64 - 0.5;
    let pixels = side * side;
    // Past the border there is air.
    sample.image.resize(image.len(), 0.0);
    sample.mask.reserve(mask.len());
    for j in 0..side {
        for i in 0..side {
            let (x, y) = (i as f64 - middle - shift[0], j as f64 - middle - shift[1]);
            let at = [cos * x + sin * y + middle, cos * y - sin * x + middle];
            if at.iter().any(|x| !(-0.5..end).contains(x)) {
                sample.mask.push(IGNORED_PIXEL);
                sample.soft.extend((!soft.is_empty()).then_some(0.0));
                continue;
            }
            let [(i0, i1, share_i), (j0, j1, share_j)] = at.map(|x| between(x, side));
            let moved = sample.image.iter_mut().skip(j * side + i).step_by(pixels);
            for (moved, slice) in moved.zip(image.chunks(pixels)) {
                let row = |j: usize| {
                    let (low, high) = (slice[j * side + i0], slice[j * side + i1]);
                    low + share_i * (high - low)
                };
                let (low, high) = (row(j0), row(j1));
                *moved = low + share_j * (high - low);
            }
            let [i, j] = at.map(|x| (x.round().max(0.0) as usize).min(side - 1));
            sample.mask.push(mask[j * side + i]);
            sample.soft.extend(soft.get(j * side + i));
        }
    }
}

/// The two pixels that a position lies between, and the share of the second.
fn between(at: f64, side: usize) -> (usize, usize, f32) {
    let at = at.clamp(0.0, side as f64 - 1.0);
    let low = (at.floor() as usize).min(side - 1);
    (low, (low + 1).min(side - 1), (at - low as f64) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    const SIDE: usize = 16;

    /// A bright square of 4 × 4 pixels in the middle, and a dark dot at its upper left.
    fn sample() -> TrainingSample {
        let inside = |p: usize| (6..10).contains(&(p % SIDE)) && (6..10).contains(&(p / SIDE));
        let mask: Vec<u8> = (0..SIDE * SIDE).map(|p| u8::from(inside(p))).collect();
        let image = mask.iter().map(|m| 0.25 + 0.5 * f32::from(*m)).collect();
        let soft = mask.iter().map(|m| 0.5 * f32::from(*m)).collect();
        TrainingSample { id: "a".to_owned(), image, mask, soft, has_nodule: Some(true) }
    }

    fn changed(augmentation: Augmentation, n: usize) -> TrainingSample {
        let (mut sample, mut random) = (sample(), ChaCha8Rng::seed_from_u64(1));
        augmentation.apply(&mut sample, SIDE, &mut random, n);
        sample
    }

    #[test]
    fn nothing_changes_unless_asked() {
        assert_eq!(changed(Augmentation::default(), 3), sample());
    }

    #[test]
    fn a_quarter_turn_and_a_shift_move_pixels_as_said() {
        let mut turned = sample();
        turned.mask[0] = 1;
        move_pixels(&mut turned, SIDE, std::f64::consts::FRAC_PI_2, 1.0, [0.0; 2]);
        // The first pixel comes to the end of the first row, and the square is in place.
        assert_eq!((turned.mask[0], turned.mask[SIDE - 1]), (0, 1));
        assert_eq!(turned.mask[6 * SIDE + 6], 1);
        assert!(turned.image.iter().zip(sample().image).all(|(a, b)| (a - b).abs() < 1e-5));
        let mut shifted = sample();
        move_pixels(&mut shifted, SIDE, 0.0, 1.0, [2.0, 0.0]);
        assert_eq!((shifted.mask[0], shifted.image[0]), (IGNORED_PIXEL, 0.0));
        assert_eq!((shifted.mask[6 * SIDE + 7], shifted.mask[6 * SIDE + 8]), (0, 1));
        let mut larger = sample();
        move_pixels(&mut larger, SIDE, 0.0, 2.0, [0.0; 2]);
        assert_eq!(larger.mask.iter().map(|m| usize::from(*m == 1)).sum::<usize>(), 64);
        let halves =
            |mask: &[u8]| mask.iter().map(|m| f32::from(u8::from(*m == 1)) / 2.0).collect();
        for moved in [shifted, larger] {
            let expected: Vec<f32> = halves(&moved.mask);
            assert_eq!(moved.soft, expected);
        }
    }

    #[test]
    fn the_slices_of_an_image_change_alike_but_for_noise() {
        let augmentation = Augmentation {
            rotation_degrees: 30.0,
            scale: 0.2,
            shift_pixels: 2.0,
            brightness: 0.1,
            contrast: 0.1,
            noise: 0.0,
        };
        let one = changed(augmentation, 2);
        let three = |augmentation: Augmentation| {
            let mut sample = sample();
            sample.image = sample.image.repeat(3);
            augmentation.apply(&mut sample, SIDE, &mut ChaCha8Rng::seed_from_u64(1), 2);
            sample
        };
        let several = three(augmentation);
        assert_ne!(one.image, sample().image);
        assert_eq!(several.image, one.image.repeat(3));
        assert_eq!((several.mask, several.soft), (one.mask, one.soft));
        let noisy = three(Augmentation { noise: 0.1, ..augmentation }).image;
        assert_ne!(noisy[..SIDE * SIDE], noisy[SIDE * SIDE..2 * SIDE * SIDE]);
    }

    #[test]
    fn contrast_and_brightness_stay_in_the_window_and_noise_has_its_deviation() {
        let bright = changed(Augmentation { brightness: 1.0, contrast: 1.0, ..<_>::default() }, 0);
        assert_eq!(bright.mask, sample().mask);
        assert!(bright.image.iter().all(|v| (0.0..=1.0).contains(v)));
        assert_ne!(bright.image, sample().image);
        let noisy = |n| changed(Augmentation { noise: 0.2, ..<_>::default() }, n).image;
        let squares = noisy(5).into_iter().zip(sample().image).map(|(a, b)| (a - b).powi(2));
        let deviation = (squares.sum::<f32>() / (SIDE * SIDE) as f32).sqrt();
        assert!(deviation > 0.0 && deviation < 0.25, "{deviation}");
        // A sample's change follows from its number in the epoch.
        assert_eq!(noisy(5), noisy(5));
        assert_ne!(noisy(5), noisy(6));
    }
}
