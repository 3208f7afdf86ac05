//! The methods by name, and what is known of each before it runs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::ExplainError;
use crate::models::clip::TapPlan;

/// A way to make heatmaps. Those that differentiate explain the net's own score; those marked
/// *modified network* read a net whose last blocks were changed to keep places apart: they locate
/// what a prompt names, but do not say why the score is what it is.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Multi-head Grad-ECLIP: attended values, weighted by the gradient of the score and by how
    /// well query and key agree (Zhao et al., ICML 2024).
    #[default]
    GradEclip,
    /// What each patch adds to the score directly, over all attention heads of all blocks; signed,
    /// in units of cosine, with [`super::Accounting`] it sums to the score (Gandelsman et al., ICLR
    /// 2024).
    DirectEffect,
    /// Positive gradients of each late block's own score with respect to its attention, averaged
    /// over heads and rows, summed over blocks (Bousselham et al., ICCV 2025).
    Legrad,
    /// Relevance: positive gradient-weighted attention, carried through the blocks (Chefer et al.,
    /// ICCV 2021).
    Game,
    /// Channels weighted by their mean gradient (Selvaraju et al., ICCV 2017).
    GradCam,
    /// Channels weighted by positive gradients, each divided by its second-order share
    /// (Chattopadhay et al., WACV 2018).
    GradCamPlusPlus,
    /// Channels weighted by gradients that are averaged by activation (Fu et al., BMVC 2020).
    XGradCam,
    /// Activations times positive gradients, place by place (Jiang et al., TIP 2021).
    LayerCam,
    /// Activations times gradients, place by place (Draelos and Carin, arXiv 2011.08891).
    HiresCam,
    /// The first principal component of the activations; ignores the prompt (Muhammad and Yeasin,
    /// IJCNN 2020).
    EigenCam,
    /// The first principal component of activations times gradients (Gildenblat, pytorch-grad-cam).
    EigenGradCam,
    /// Channels weighted by the score of the picture masked with each; one forward pass a channel
    /// (Wang et al., CVPRW 2020).
    ScoreCam,
    /// The product of all blocks' mean attention and identity; ignores the prompt (Abnar and
    /// Zuidema, ACL 2020).
    Rollout,
    /// The same of attention weighted by its gradient, negative values cut (Gildenblat,
    /// vit-explain).
    GradRollout,
    /// *Modified network*: every patch attends to itself alone in the last block (Zhou et al., ECCV
    /// 2022).
    MaskClip,
    /// *Modified network*: query-query attention in the last block, without residual and MLP (Lan
    /// et al., ECCV 2024).
    ClearClip,
    /// *Modified network*: key-key attention that favours neighbours in the last block, without
    /// residual and MLP (Hajimiri et al., WACV 2025).
    Naclip,
    /// *Modified network*: query-query plus key-key attention in the last block (Wang et al., ECCV
    /// 2024).
    Sclip,
    /// *Modified network*: a second path of value-value attentions through the late blocks (Li et
    /// al., Pattern Recognition 2025).
    ClipSurgery,
    /// *Modified network*: a second path of sharpened self-self attentions through the late blocks
    /// (Bousselham et al., CVPR 2024).
    Gem,
    /// The mean of several methods' maps, each replaced by its ranks.
    Ensemble,
}

/// Which blocks a method can read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum LayerChoice {
    /// The last one; there is no choice.
    Last,
    /// Any set; by itself the last so many.
    Any(usize),
    /// From some block to the last; by itself the last so many.
    Tail(usize),
    /// None of its own: other methods' choices.
    OfMembers,
}

/// All there are.
const EVERY: usize = usize::MAX;

/// What is known of a method.
struct Facts {
    name: &'static str,
    layers: LayerChoice,
    plan: TapPlan,
    signed: bool,
    reads_text: bool,
    modified: bool,
}

impl Facts {
    /// Of a method that reads the text and the net as it is, and never is negative.
    fn of(name: &'static str, layers: LayerChoice) -> Self {
        let plan = match layers {
            LayerChoice::Last | LayerChoice::Any(1) => TapPlan::LastBlock,
            LayerChoice::Any(_) | LayerChoice::Tail(_) | LayerChoice::OfMembers => {
                TapPlan::EveryInput
            }
        };
        Self { name, layers, plan, signed: false, reads_text: true, modified: false }
    }

    fn cam(name: &'static str) -> Self {
        Self::of(name, LayerChoice::Any(1))
    }

    /// Of a method that compares patch features with the text in a changed net.
    fn changed(name: &'static str, layers: LayerChoice) -> Self {
        Self { signed: true, modified: true, ..Self::of(name, layers) }
    }
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 21] = [
        Self::GradEclip,
        Self::DirectEffect,
        Self::Legrad,
        Self::Game,
        Self::GradCam,
        Self::GradCamPlusPlus,
        Self::XGradCam,
        Self::LayerCam,
        Self::HiresCam,
        Self::EigenCam,
        Self::EigenGradCam,
        Self::ScoreCam,
        Self::Rollout,
        Self::GradRollout,
        Self::MaskClip,
        Self::ClearClip,
        Self::Naclip,
        Self::Sclip,
        Self::ClipSurgery,
        Self::Gem,
        Self::Ensemble,
    ];

    /// The explanation and its account: what is measured where nothing else is asked.
    pub const USUAL: [Self; 2] = [Self::GradEclip, Self::DirectEffect];

    fn facts(self) -> Facts {
        use LayerChoice::{Any, Last, OfMembers, Tail};
        match self {
            Self::GradEclip => Facts::of("grad_eclip", Last),
            Self::DirectEffect => Facts {
                plan: TapPlan::EveryBlock,
                signed: true,
                ..Facts::of("direct_effect", Any(EVERY))
            },
            Self::Legrad => Facts::of("legrad", Any(4)),
            Self::Game => Facts::of("game", Any(1)),
            Self::GradCam => Facts::cam("grad_cam"),
            Self::GradCamPlusPlus => Facts::cam("grad_cam_plus_plus"),
            Self::XGradCam => Facts::cam("x_grad_cam"),
            Self::LayerCam => Facts::cam("layer_cam"),
            Self::HiresCam => Facts::cam("hires_cam"),
            Self::EigenCam => Facts { reads_text: false, ..Facts::cam("eigen_cam") },
            Self::EigenGradCam => Facts::cam("eigen_grad_cam"),
            Self::ScoreCam => Facts::cam("score_cam"),
            Self::Rollout => Facts { reads_text: false, ..Facts::of("rollout", Any(EVERY)) },
            Self::GradRollout => Facts::of("grad_rollout", Any(EVERY)),
            Self::MaskClip => Facts::changed("mask_clip", Last),
            Self::ClearClip => Facts::changed("clear_clip", Last),
            Self::Naclip => Facts::changed("naclip", Last),
            Self::Sclip => Facts::changed("sclip", Last),
            Self::ClipSurgery => Facts::changed("clip_surgery", Tail(6)),
            Self::Gem => Facts::changed("gem", Tail(6)),
            Self::Ensemble => Facts { modified: true, ..Facts::of("ensemble", OfMembers) },
        }
    }

    /// The name in requests, reports and on the command line.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// What the forward pass must keep for this method with its own choice of layers. Plans are
    /// ordered: the greatest of several serves them all.
    pub fn plan(self) -> TapPlan {
        self.facts().plan
    }

    /// Whether maps have negative values: evidence against the prompt.
    pub fn is_signed(self) -> bool {
        self.facts().signed
    }

    /// Whether the map depends on the prompt at all.
    pub fn is_text_conditioned(self) -> bool {
        self.facts().reads_text
    }

    /// Whether the map is read from a changed net, and so locates rather than explains. The usual
    /// ensemble counts, for one of its members is such.
    pub fn modifies_network(self) -> bool {
        self.facts().modified
    }

    /// Which blocks it can read.
    pub(super) fn layer_choice(self) -> LayerChoice {
        self.facts().layers
    }

    /// Whether it weights the channels of a block's activations: those that smoothing by principal
    /// component is meant for.
    pub fn is_class_activation(self) -> bool {
        self.layer_choice() == LayerChoice::Any(1) && self != Self::Game
    }

    /// Whether every further prompt costs a backward pass through the blocks that are read.
    pub(super) fn differentiates_blocks(self) -> bool {
        let forward = [Self::EigenCam, Self::ScoreCam];
        let backward = [Self::Legrad, Self::Game, Self::GradRollout];
        backward.contains(&self) || self.is_class_activation() && !forward.contains(&self)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Method {
    type Err = ExplainError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|method| method.name() == name)
            .ok_or_else(|| ExplainError::UnknownMethod { name: name.to_owned() })
    }
}

/// Names of the methods that satisfy `is`, for messages.
pub(super) fn names_of(is: impl Fn(Method) -> bool) -> String {
    let names: Vec<&str> =
        Method::ALL.into_iter().filter(|&method| is(method)).map(Method::name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_files_are_names_on_the_command_line() {
        for method in Method::ALL {
            let written = serde_json::to_string(&method).unwrap();
            assert_eq!(written, format!("\"{method}\""));
            assert_eq!(method.name().parse(), Ok(method));
        }
    }

    #[test]
    fn only_two_methods_ignore_the_prompt() {
        assert_eq!(names_of(|method| !method.is_text_conditioned()), "eigen_cam, rollout");
    }

    #[test]
    fn what_reads_a_changed_net_is_marked() {
        let changed = "mask_clip, clear_clip, naclip, sclip, clip_surgery, gem, ensemble";
        assert_eq!(names_of(Method::modifies_network), changed);
    }
}
