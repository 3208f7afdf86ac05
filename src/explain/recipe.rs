//! A method with its options, checked against a model before it runs.

use serde::{Deserialize, Serialize};

use super::checks::PASSES_OF_CHECKS;
use super::error::ExplainError;
use super::method::{LayerChoice, Method};
use crate::models::clip::TapPlan;

/// The members of an ensemble that names none: two that explain and one that locates.
const USUAL_MEMBERS: [Method; 3] = [Method::GradEclip, Method::Legrad, Method::Naclip];

/// Pictures that smoothing by augmentation looks at.
const AUGMENTED_PICTURES: usize = 6;

/// How to make a map. The default is the default method with its own choice of layers.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// The method.
    pub method: Method,
    /// The blocks to read, counted from 0, in any order; empty: the method's own choice. Maps of
    /// several blocks are joined as the method has it: class activation maps are scaled to 0..1
    /// each and averaged, relevances are multiplied, contributions are summed.
    pub layers: Vec<usize>,
    /// Smoothing.
    pub smoothing: Smoothing,
    /// Whether to spread the map over patches that attend to each other: class-aware attention
    /// affinity (Lin et al., "CLIP is Also an Efficient Segmenter", CVPR 2023).
    pub refined: bool,
    /// The methods of an ensemble; empty: `grad_eclip`, `legrad` and `naclip`. Empty for all
    /// others.
    pub members: Vec<Method>,
}

/// Ways to smooth a map.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Smoothing {
    /// Replace the sum over weighted channels by their first principal component; for class
    /// activation maps alone.
    pub eigen: bool,
    /// Average over six pictures: the picture and its mirror image, each with normalised pixels
    /// times 0.9, 1 and 1.1. Costs six forward passes more.
    pub augmentation: bool,
}

impl Recipe {
    /// A method as it is.
    pub fn of(method: Method) -> Self {
        Self { method, ..Self::default() }
    }

    /// Whether a tower of `depth` blocks can follow it.
    pub fn check(&self, depth: usize) -> Result<(), ExplainError> {
        let method = self.method;
        if self.smoothing.eigen && !method.is_class_activation() {
            return Err(ExplainError::NoEigenSmoothing { method });
        }
        if method != Method::Ensemble && !self.members.is_empty() {
            return Err(ExplainError::NoMembers { method });
        }
        for (at, &member) in self.members.iter().enumerate() {
            if member == Method::Ensemble || self.members[..at].contains(&member) {
                return Err(ExplainError::BadMember { member });
            }
        }
        self.check_layers(depth)
    }

    fn check_layers(&self, depth: usize) -> Result<(), ExplainError> {
        let (method, last) = (self.method, depth - 1);
        let mut sorted = self.layers.clone();
        sorted.sort_unstable();
        let Some((&lowest, &highest)) = sorted.first().zip(sorted.last()) else {
            return Ok(());
        };
        if highest > last {
            return Err(ExplainError::LayerOutOfRange { method, layer: highest, last });
        }
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ExplainError::LayerTwice { method, layer: pair[0] });
        }
        match method.layer_choice() {
            LayerChoice::Last if sorted == [last] => Ok(()),
            LayerChoice::Last | LayerChoice::OfMembers => Err(ExplainError::LayersFixed { method }),
            LayerChoice::Tail(_) if sorted.len() != depth - lowest => {
                Err(ExplainError::LayersNotTail { method, last })
            }
            LayerChoice::Tail(_) | LayerChoice::Any(_) => Ok(()),
        }
    }

    /// The blocks that are read in a tower of `depth` blocks, ascending. Of an ensemble, those of
    /// its members.
    pub fn layers_in(&self, depth: usize) -> Vec<usize> {
        let mut layers = self.layers.clone();
        if layers.is_empty() {
            layers = match self.method.layer_choice() {
                LayerChoice::Last => vec![depth - 1],
                LayerChoice::Any(count) | LayerChoice::Tail(count) => {
                    (depth.saturating_sub(count)..depth).collect()
                }
                LayerChoice::OfMembers => {
                    let members = self.members().into_iter();
                    members.flat_map(|member| Self::of(member).layers_in(depth)).collect()
                }
            };
        }
        layers.sort_unstable();
        layers.dedup();
        layers
    }

    /// The methods whose maps make this one: of an ensemble its members, else the method itself.
    pub fn members(&self) -> Vec<Method> {
        if self.method != Method::Ensemble {
            vec![self.method]
        } else if self.members.is_empty() {
            USUAL_MEMBERS.to_vec()
        } else {
            self.members.clone()
        }
    }

    /// Whether the map is read from a changed net, and so locates rather than explains.
    pub fn modifies_network(&self) -> bool {
        self.members().into_iter().any(Method::modifies_network)
    }

    /// Forward passes that it takes beyond the one that makes the score, about, in a tower of `depth`
    /// blocks of `width` channels; a backward pass counts as one. `checked`: with checks.
    pub fn passes(&self, (depth, width): (usize, usize), checked: bool) -> usize {
        let each = self.members().into_iter().map(|member| {
            if member == Method::ScoreCam {
                width * self.layers_in(depth).len()
            } else {
                usize::from(member.differentiates_blocks())
            }
        });
        let pictures = if self.smoothing.augmentation { AUGMENTED_PICTURES } else { 1 };
        let own = pictures * each.sum::<usize>() + (pictures - 1);
        // Checks make the map of three pictures more, and of single blocks.
        own + if checked { PASSES_OF_CHECKS + 7 * own } else { 0 }
    }

    /// Whether every further prompt costs a backward pass through more than the last block.
    pub(super) fn is_dear(&self, depth: usize) -> bool {
        let backward = self.members().into_iter().any(Method::differentiates_blocks);
        backward && self.layers_in(depth) != [depth - 1]
    }

    /// What the forward pass through a tower of `depth` blocks must keep. Plans are ordered: the
    /// greatest of several serves them all.
    pub fn plan(&self, depth: usize) -> TapPlan {
        let last_only = self.layers_in(depth) == [depth - 1];
        let own = self.members().into_iter().map(Method::plan).max().unwrap_or_default();
        if self.refined || (own == TapPlan::LastBlock && !last_only) {
            TapPlan::EveryInput
        } else if own == TapPlan::EveryInput && last_only {
            TapPlan::LastBlock
        } else {
            own
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPTH: usize = 12;

    fn with_layers(method: Method, layers: &[usize]) -> Recipe {
        Recipe { layers: layers.to_vec(), ..Recipe::of(method) }
    }

    #[test]
    fn every_method_is_valid_as_it_is_in_any_tower() {
        for method in Method::ALL {
            for depth in [1, 3, DEPTH] {
                let recipe = Recipe::of(method);
                assert_eq!(recipe.check(depth), Ok(()), "{method}");
                let layers = recipe.layers_in(depth);
                assert_eq!(layers.last(), Some(&(depth - 1)), "{method}");
                assert!(depth > 1 || recipe.plan(depth) <= TapPlan::EveryBlock, "{method}");
            }
        }
        assert_eq!(Recipe::of(Method::Legrad).layers_in(DEPTH), [8, 9, 10, 11]);
        assert_eq!(Recipe::of(Method::Ensemble).layers_in(DEPTH), [8, 9, 10, 11]);
        assert_eq!(Recipe::of(Method::Gem).layers_in(DEPTH), [6, 7, 8, 9, 10, 11]);
        assert_eq!(Recipe::of(Method::Rollout).layers_in(3), [0, 1, 2]);
    }

    #[test]
    fn only_what_reads_earlier_blocks_keeps_them() {
        let plan = |recipe: &Recipe| recipe.plan(DEPTH);
        for method in [Method::GradEclip, Method::GradCam, Method::Game, Method::Naclip] {
            assert_eq!(plan(&Recipe::of(method)), TapPlan::LastBlock, "{method}");
        }
        assert_eq!(plan(&Recipe::of(Method::DirectEffect)), TapPlan::EveryBlock);
        assert_eq!(plan(&with_layers(Method::GradCam, &[3])), TapPlan::EveryInput);
        assert_eq!(plan(&with_layers(Method::Legrad, &[11])), TapPlan::LastBlock);
        let cheap = vec![Method::GradEclip, Method::Naclip];
        let members = Recipe { members: cheap, ..Recipe::of(Method::Ensemble) };
        assert_eq!(plan(&members), TapPlan::LastBlock);
        let refined = Recipe { refined: true, ..Recipe::of(Method::GradCam) };
        assert_eq!(plan(&refined), TapPlan::EveryInput);
    }

    #[test]
    fn backward_passes_through_many_blocks_are_dear() {
        let dear = |recipe: Recipe| recipe.is_dear(DEPTH);
        for method in [Method::Legrad, Method::GradRollout, Method::Ensemble] {
            assert!(dear(Recipe::of(method)), "{method}");
        }
        assert!(dear(with_layers(Method::GradCam, &[3])));
        for method in [Method::GradCam, Method::Game, Method::GradEclip, Method::Rollout] {
            assert!(!dear(Recipe::of(method)), "{method}");
        }
        assert!(!dear(with_layers(Method::EigenCam, &[3])));
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_can() {
        let check = |recipe: Recipe, expected: &str| {
            let message = recipe.check(DEPTH).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        };
        check(with_layers(Method::GradCam, &[12]), "layer 12, the model has layers 0 to 11");
        check(with_layers(Method::GradCam, &[4, 4]), "layer 4 is named twice");
        check(with_layers(Method::GradEclip, &[4]), "those that have are direct_effect, legrad,");
        check(with_layers(Method::Gem, &[7, 9, 10, 11]), "from one of 0 to 11 up to 11");
        check(with_layers(Method::Gem, &[7, 8]), "without a gap");
        let eigen = Smoothing { eigen: true, ..Smoothing::default() };
        let smooth = Recipe { smoothing: eigen, ..Recipe::of(Method::Game) };
        check(smooth, "those that have are grad_cam, grad_cam_plus_plus,");
        let members = vec![Method::GradEclip];
        check(Recipe { members, ..Recipe::of(Method::Gem) }, "gem has no members");
        for member in [Method::Ensemble, Method::GradEclip] {
            let members = vec![Method::GradEclip, member];
            let recipe = Recipe { members, ..Recipe::of(Method::Ensemble) };
            check(recipe, &format!("{member} cannot be in an ensemble"));
        }
    }

    #[test]
    fn passes_tell_the_dear_from_the_cheap() {
        let passes = |method| Recipe::of(method).passes((DEPTH, 768), false);
        assert_eq!((passes(Method::GradEclip), passes(Method::ScoreCam)), (0, 768));
        assert_eq!(passes(Method::Legrad), 1);
        let augmentation = Smoothing { augmentation: true, ..Smoothing::default() };
        let smooth = Recipe { smoothing: augmentation, ..Recipe::default() };
        assert_eq!(smooth.passes((DEPTH, 768), false), 5);
        assert_eq!(Recipe::default().passes((DEPTH, 768), true), PASSES_OF_CHECKS);
    }

    #[test]
    fn layers_that_fit_are_taken_in_ascending_order() {
        let recipe = with_layers(Method::LayerCam, &[11, 3, 7]);
        assert_eq!((recipe.check(DEPTH), recipe.layers_in(DEPTH)), (Ok(()), vec![3, 7, 11]));
        assert_eq!(with_layers(Method::GradEclip, &[11]).check(DEPTH), Ok(()));
        assert_eq!(with_layers(Method::ClipSurgery, &[11, 10]).check(DEPTH), Ok(()));
    }
}
