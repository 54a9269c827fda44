//! Draws contact sheets of a cohort's nodules, for visual checks.

mod page;
mod predicted;

use super::export::folder::{Folder, Record};
use super::export::regions::{NoduleRegion, RegionSelection, Tables};
use super::export::{Error, one_cohort};
use nodulus_store::Store;
pub use page::TileContent;
use page::{Layout, Page, Tile};
use predicted::ModelMasks;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Options of the drawing.
#[derive(Clone, Copy, Debug)]
pub struct MontageOptions<'a> {
    /// The cohort; `None` for the only one.
    pub cohort: Option<&'a str>,
    /// Hounsfield units of black and white; `None` for those that normalise to 0 and 1.
    pub window_hu: Option<[f64; 2]>,
    /// Content of each tile.
    pub what: TileContent,
    /// Number of columns and of rows of tiles.
    pub grid: [usize; 2],
    /// Side of a tile in pixels.
    pub tile: usize,
    /// Model whose masks are drawn; `None` for the only network, if there is one.
    pub model: Option<&'a str>,
}

/// Settings and counts of the drawing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MontageDescription {
    /// The cohort.
    pub cohort: String,
    /// Content of each tile.
    pub what: TileContent,
    /// Hounsfield units of black and white.
    pub window_hu: [f64; 2],
    /// Model whose masks are drawn, if any.
    pub model: Option<String>,
    /// Number of nodules.
    pub n_nodules: usize,
    /// Counts the tiles.
    pub n_tiles: usize,
}

/// Draws a cohort's nodules on numbered pages from `montage-0001.png` on, in the order of the store.
///
/// Memory holds one page, one region and the predicted masks of one shard. The same store gives the same bytes. The files
/// replace those of an earlier export when all are finished.
///
/// # Errors
///
/// Fails if the store lacks a table or the cohort, no nodule has a region, a page would be too large, several networks
/// have predictions and none is named, or the folder has a file that no export wrote.
pub fn draw(
    store: &Store,
    to: &Path,
    options: MontageOptions<'_>,
) -> Result<Record<MontageDescription>, Error> {
    let tables = Tables::open(store, false)?;
    let cohort = one_cohort(&tables.cohorts, options.cohort)?;
    let selection = RegionSelection { cohort: Some(&cohort), splits: &[] };
    let predicted = ModelMasks::open(store, &tables, options.model)?;
    let model = predicted.as_ref().map(ModelMasks::model);
    let n_all = count(&tables, &cohort, options.what)?;
    if n_all == 0 {
        return Err(Error::NoRegions(selection.to_string()));
    }
    let layout = Layout::new(options.grid, options.tile)?;
    let folder = Folder::open(to)?;
    let mut window_hu = None;
    let mut page: Option<Page> = None;
    let (mut n_nodules, mut n_tiles) = (0, 0);
    for shard in 0..tables.n_shards() {
        let masks = match &predicted {
            Some(predicted) => predicted.masks(shard)?,
            None => predicted::ShardMasks::default(),
        };
        tables.each(shard, selection, |region| {
            n_nodules += 1;
            let window = *window_hu.get_or_insert(options.window_hu.unwrap_or(region.window_hu));
            for k in shown(&region, options.what) {
                let sheet = page.get_or_insert_with(|| {
                    let last = (n_tiles + layout.n_tiles()).min(n_all);
                    let page = n_tiles / layout.n_tiles() + 1;
                    let head = page::Head {
                        cohort: &cohort,
                        what: options.what,
                        pages: [page, n_all.div_ceil(layout.n_tiles())],
                        tiles: [n_tiles + 1, last, n_all],
                        window_hu: window,
                        model: model.as_deref(),
                    };
                    Page::new(layout, &head)
                });
                let predicted = masks.of(&region, k)?;
                sheet.add(&Tile { region: &region, k, predicted: predicted.as_ref() }, window);
                n_tiles += 1;
                if sheet.is_full() {
                    save(&mut page, folder.aside(), n_tiles.div_ceil(layout.n_tiles()))?;
                }
            }
            Ok(())
        })?;
    }
    save(&mut page, folder.aside(), n_tiles.div_ceil(layout.n_tiles()))?;
    let window_hu = window_hu.unwrap_or_default();
    let about = MontageDescription {
        cohort: cohort.clone(),
        what: options.what,
        window_hu,
        model,
        n_nodules,
        n_tiles,
    };
    let inputs = tables.inputs().into_iter().chain(predicted.map(|predicted| predicted.input()));
    folder.publish("montage", about, inputs.collect())
}

/// Writes a page, if one has been started.
fn save(page: &mut Option<Page>, folder: &Path, number: usize) -> Result<(), Error> {
    if let Some(page) = page.take() {
        fs_err::write(folder.join(format!("montage-{number:04}.png")), page.to_png()?)?;
    }
    Ok(())
}

/// The slices of a region that are shown, counted from its first.
///
/// METHOD: the central slice is the middle one of the slices with the nodule.
fn shown(region: &NoduleRegion, what: TileContent) -> Vec<usize> {
    let n = region.roi_ids.len();
    match what {
        TileContent::Slices => (0..n).collect(),
        TileContent::Nodules => {
            let slices = region.mask.outer_iter().enumerate();
            let with = slices.filter(|(_, slice)| slice.iter().any(|pixel| *pixel != 0));
            let with: Vec<usize> = with.map(|(k, _)| k).collect();
            vec![with.get(with.len() / 2).copied().unwrap_or(n / 2)]
        }
    }
}

/// Counts the tiles.
fn count(tables: &Tables, cohort: &str, what: TileContent) -> Result<usize, Error> {
    #[derive(Deserialize)]
    struct SliceNodule {
        nodule_id: String,
        cohort: String,
    }
    let mut n = 0;
    let mut last = String::new();
    for batch in tables.rois.columns::<SliceNodule>(&["nodule_id", "cohort"]) {
        for slice in batch?.into_iter().filter(|slice| slice.cohort == cohort) {
            if what == TileContent::Slices || slice.nodule_id != last {
                n += 1;
            }
            last = slice.nodule_id;
        }
    }
    Ok(n)
}
