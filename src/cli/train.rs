//! `veriframe train`: trains a demo model, with a progress bar; Ctrl-C stops with a checkpoint.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use tch::Device;

use crate::training::run::{Observer, Outcome, Progress, TrainOptions};
use crate::training::statement_recipe::StatementRecipe;
use crate::training::statement_run;
use crate::training::statement_validate::validate_folder;
use crate::training::{clip, detector};

/// What to train.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum World {
    /// The models of the demo world, which are in the repository.
    Demo,
}

/// One demo model.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum DemoModel {
    /// The CLIP.
    Clip,
    /// The detector of face parts.
    Yolo,
    /// The CLIP that reads statements of fact.
    Evidence,
}

/// Trains the demo models on the demo world. On one core the detector takes about 25 minutes, the CLIP
/// about 90, the evidence model about 30.
#[derive(Args, Debug)]
pub(super) struct TrainArgs {
    /// What to train.
    #[arg(value_enum)]
    world: World,
    /// Train this model only.
    #[arg(long, value_enum)]
    only: Option<DemoModel>,
    /// Trained demo CLIP whose image tower the evidence model begins from.
    #[arg(long, default_value = "models/demo/clip")]
    clip: PathBuf,
    /// Folder for checkpoints and the finished models.
    #[arg(long, default_value = "out/train")]
    out: PathBuf,
    /// Steps of each run; the learning rate reaches its floor at the last. Default: as the
    /// published demo models were trained.
    #[arg(long)]
    steps: Option<u64>,
    /// Seed of weights and batches.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads inside one tensor operation.
    #[arg(long, default_value_t = 2)]
    threads: i32,
    /// Train nothing: measure the evidence model in this folder on held-out faces.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["only", "out", "restart"])]
    measure: Option<PathBuf>,
    /// How many faces to measure on; people are searched among three times as many.
    #[arg(long, default_value_t = 100, requires = "measure",
        value_parser = clap::value_parser!(u64).range(2..=10_000))]
    faces: u64,
    /// Begin anew even where there is a checkpoint.
    #[arg(long)]
    restart: bool,
}

/// The first held-out face to measure on. Training looks at those before it to steer by.
const MEASURED: u64 = 100_000;

/// Runs the command.
pub(super) fn run(args: &TrainArgs) -> anyhow::Result<()> {
    let World::Demo = args.world;
    if let Some(folder) = &args.measure {
        let figures = validate_folder(folder, MEASURED..MEASURED + args.faces)?;
        writeln!(std::io::stdout(), "{figures}")?;
        return Ok(());
    }
    for model in [DemoModel::Clip, DemoModel::Yolo, DemoModel::Evidence] {
        if args.only.is_none_or(|only| only == model) && !train(args, model)? {
            break;
        }
    }
    Ok(())
}

/// Trains one model; whether it was finished.
fn train(args: &TrainArgs, model: DemoModel) -> anyhow::Result<bool> {
    let steps = match model {
        DemoModel::Clip => clip::STEPS,
        DemoModel::Yolo => detector::STEPS,
        DemoModel::Evidence => statement_run::STEPS,
    };
    let options = TrainOptions {
        out: args.out.clone(),
        steps: args.steps.unwrap_or(steps),
        seed: args.seed,
        threads: args.threads,
        resume: !args.restart,
    };
    let mut terminal = Terminal::new(options.steps)?;
    let outcome = match model {
        DemoModel::Clip => clip::train_clip(&options, &mut terminal)?,
        DemoModel::Yolo => detector::train_detector(&options, Device::Cpu, &mut terminal)?,
        DemoModel::Evidence => {
            let recipe = StatementRecipe::demo(args.clip.clone());
            statement_run::train_statements(&recipe, &options, &mut terminal)?
        }
    };
    terminal.bar.finish_and_clear();
    match outcome {
        Outcome::Finished => terminal.note(&format!("finished: {}", options.out.display())),
        Outcome::Stopped(step) => terminal.note(&format!("stopped after step {step}; run again")),
    }
    Ok(outcome == Outcome::Finished)
}

/// A progress bar on a terminal, a line now and then elsewhere.
struct Terminal {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
}

/// Steps between lines where there is no terminal.
const LINE_EVERY: u64 = 20;

impl Terminal {
    fn new(steps: u64) -> anyhow::Result<Self> {
        let bar = ProgressBar::new(steps);
        bar.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} {eta} left\n{msg}")?);
        let stop = Arc::new(AtomicBool::new(false));
        let asked = stop.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || {
            if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
                asked.store(true, Ordering::Relaxed);
            }
        });
        Ok(Self { bar, stop })
    }
}

impl Observer for Terminal {
    fn progress(&mut self, progress: &Progress<'_>) {
        let figures: Vec<String> =
            progress.figures.iter().map(|(name, value)| format!("{name} {value:.3}")).collect();
        let figures = figures.join("  ");
        self.bar.set_position(progress.step);
        if std::io::stderr().is_terminal() {
            self.bar.set_message(figures);
        } else if progress.step.is_multiple_of(LINE_EVERY) {
            let elapsed = self.bar.elapsed().as_secs();
            self.note(&format!("{elapsed:>5} s  step {:>5}  {figures}", progress.step));
        }
    }

    fn note(&mut self, line: &str) {
        // A closed terminal must not end a training run.
        self.bar.suspend(|| writeln!(std::io::stdout(), "{line}").ok());
    }

    fn stop_requested(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
