//! `veriframe train`: trains the demo models, with a progress bar; Ctrl-C stops with a checkpoint.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use tch::Device;

use crate::training::clip::train_clip;
use crate::training::detector::{self, train_detector};
use crate::training::run::{Observer, Outcome, Progress, TrainOptions};

/// What can be trained.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Subject {
    /// The models of the demo world.
    Demo,
}

/// One of the demo models.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum DemoModel {
    /// The detector of face parts: about 20 minutes on two cores.
    Yolo,
    /// The CLIP of the demo world.
    Clip,
}

/// Trains the demo models on the demo world.
#[derive(Args, Debug)]
pub(super) struct TrainArgs {
    /// What to train.
    #[arg(value_enum)]
    subject: Subject,
    /// This model alone.
    #[arg(long, value_enum)]
    only: Option<DemoModel>,
    /// Folder for checkpoints and the finished model.
    #[arg(long, default_value = "out/train")]
    out: PathBuf,
    /// Steps of each whole run; 1500 for the detector and 3000 for the CLIP where not given.
    #[arg(long)]
    steps: Option<u64>,
    /// Seed of weights and batches.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads inside one tensor operation.
    #[arg(long, default_value_t = 2)]
    threads: i32,
    /// Begin anew even where there is a checkpoint.
    #[arg(long)]
    restart: bool,
}

/// Steps of the CLIP's run.
const CLIP_STEPS: u64 = 3000;

/// Runs the command.
pub(super) fn run(args: &TrainArgs) -> anyhow::Result<()> {
    let stop = watch_interrupt()?;
    let options = |default_steps| TrainOptions {
        out: args.out.clone(),
        steps: args.steps.unwrap_or(default_steps),
        seed: args.seed,
        threads: args.threads,
        resume: !args.restart,
    };
    let Subject::Demo = args.subject;
    if args.only != Some(DemoModel::Clip) {
        let options = options(detector::STEPS);
        let mut terminal = Terminal::new(options.steps, &stop)?;
        let outcome = train_detector(&options, Device::Cpu, &mut terminal)?;
        terminal.end(&options, outcome);
        if outcome != Outcome::Finished {
            return Ok(());
        }
    }
    if args.only != Some(DemoModel::Yolo) {
        let options = options(CLIP_STEPS);
        let mut terminal = Terminal::new(options.steps, &stop)?;
        let outcome = train_clip(&options, &mut terminal)?;
        terminal.end(&options, outcome);
    }
    Ok(())
}

/// A flag that Ctrl-C sets.
fn watch_interrupt() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = stop.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            asked.store(true, Ordering::Relaxed);
        }
    });
    Ok(stop)
}

/// A progress bar on a terminal, a line now and then elsewhere.
struct Terminal {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
}

/// Steps between lines where there is no terminal.
const LINE_EVERY: u64 = 20;

impl Terminal {
    fn new(steps: u64, stop: &Arc<AtomicBool>) -> anyhow::Result<Self> {
        let bar = ProgressBar::new(steps);
        bar.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} {eta} left\n{msg}")?);
        Ok(Self { bar, stop: Arc::clone(stop) })
    }

    fn end(&mut self, options: &TrainOptions, outcome: Outcome) {
        self.bar.finish_and_clear();
        match outcome {
            Outcome::Finished => self.note(&format!("finished: {}", options.out.display())),
            Outcome::Stopped(step) => self.note(&format!("stopped after step {step}; run again")),
        }
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
