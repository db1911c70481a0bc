#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <new>
#include <system_error>

#include "cli/commands.h"
#include "dpll/build_info.h"
#include "io/text.h"
#if DPLL_HAVE_CUDA
#include "backend/cuda/gpu/gpu_backend.h"
#endif
#include "dpll/core/check.h"
#include "selftest/qualify.h"
#include "train/run_folder.h"
#include "train/signals.h"

namespace dpll {
namespace {

constexpr const char* kDescription =
    "dpll_engine trains networks from sets of candidate labels (PLCR, ICML 2022).\n"
    "  dpll_engine config.ini                    train as the file says; results go to runs/<name>/\n"
    "  dpll_engine runs/<name>/config.ini --resume   continue a stopped run";

constexpr const char* kFooter =
    "Every configuration key is explained in configs/reference.ini.\n"
    "Exit codes: 0 done, 1 bug, 2 command line, 3 configuration, 4 data, 5 run, 6 device, 75 stopped by "
    "run.max_hours,\n129/130/138/143 stopped by SIGHUP, SIGINT, SIGUSR1, SIGTERM.";

std::string version_text() {
  std::string text = fmt::format("dpll_engine {} (commit {}, {}, {})\n", DPLL_VERSION, DPLL_COMMIT,
                                 DPLL_COMPILER, DPLL_BUILD_TYPE);
#if DPLL_HAVE_CUDA
  text += fmt::format("CUDA toolkit {}, device code for {}\n{}\n", DPLL_CUDA_VERSION, DPLL_CUDA_ARCHITECTURES,
                      gpu_version_text());
  text += "backends: cuda and ";
#else
  text += "no CUDA in this build\nbackends: ";
#endif
  text += make_cpu_backend({})->description();
  return text;
}

// The arguments that several commands share: a configuration file and overrides of its keys.
struct ConfigArguments {
  std::string path;
  std::vector<std::string> overrides;
  bool resume = false, no_verify = false;

  void add_to(CLI::App& app) {
    app.add_option("--set", overrides, "Override a key: --set section.key=value (may be repeated)")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
    app.add_flag("--no-verify", no_verify, "Do not check the MD5 sums of the data files");
  }
  // A run is its folder: a copied, moved or renamed run is resumed in the folder of its config.ini, whatever
  // that file says.
  void stay_in_folder(RunConfig::Run& run) const {
    namespace fs = std::filesystem;
    std::error_code ignored;
    const fs::path file = fs::absolute(path, ignored).lexically_normal(), folder = file.parent_path();
    const bool lies_in_a_run = file.filename() == run_files::kConfig &&
                               (fs::exists(folder / run_files::kCheckpoint, ignored) ||
                                fs::exists(folder / run_files::kPreviousCheckpoint, ignored));
    if (!lies_in_a_run || fs::equivalent(folder, fs::path(run.out_dir) / run.name, ignored)) return;
    for (const std::string& argument : overrides) {
      if (argument.starts_with("run.name=") || argument.starts_with("run.out_dir=")) return;
    }
    run.out_dir = folder.parent_path().string();
    run.name = folder.filename().string();
  }
  RunConfig load() const {
    std::vector<Override> parsed;
    for (const std::string& argument : overrides) parsed.push_back(parse_override(argument));
    RunConfig config = load_config(path, parsed);
    for (const std::string& warning : unused_overrides(config, parsed)) {
      std::fprintf(stderr, "warning: %s\n", escaped(warning).c_str());
    }
    if (resume) config.run.resume = ResumeMode::require;
    if (config.run.resume != ResumeMode::never) stay_in_folder(config.run);
    if (no_verify) config.data.verify = false;
    return config;
  }
};

// Which model of a run `evaluate` and `predict` use.
struct ModelFlags {
  bool average = false, selected = false;

  void add_to(CLI::App& app) {
    CLI::Option* ema = app.add_flag("--ema", average, "Use the averaged weights");
    app.add_flag("--selected", selected, "Use the model of the epoch that was selected without labels")
        ->excludes(ema);
  }
  KeptModel chosen() const {
    return average ? KeptModel::average : selected ? KeptModel::selected : KeptModel::last;
  }
};

// The error message, or "": the form of CLI11's validators.
std::string is_numbered_gpu(const std::string& text) {
  const bool numbered = text.size() > 5 && text.size() < 10 && text.starts_with("cuda:") &&
                        text.find_first_not_of("0123456789", 5) == std::string::npos;
  return numbered ? "" : "not cpu, cuda or cuda:N";
}

int dispatch(int argc, char** argv) {
  CLI::App app{kDescription, "dpll_engine"};
  app.footer(kFooter);
  app.set_version_flag("--version", version_text, "Print versions and exit");
  app.require_subcommand(0, 1);

  ConfigArguments train_arguments;
  app.add_option("config", train_arguments.path, "Configuration file (INI)")->type_name("FILE");
  app.add_flag("--resume", train_arguments.resume, "Continue from the checkpoint in the run folder");
  train_arguments.add_to(app);

  ConfigArguments candidates_config;
  CandidatesArguments candidates;
  CLI::App* candidates_app =
      app.add_subcommand("candidates", "Write the candidate sets of a configuration as CSV");
  candidates_app->add_option("config", candidates_config.path, "Configuration file")
      ->required()
      ->type_name("FILE");
  candidates_app->add_option("--out", candidates.out, "CSV file to write")->required()->type_name("FILE");
  candidates_config.add_to(*candidates_app);

  ConfigArguments verify_config;
  CLI::App* data_app = app.add_subcommand("data", "Check the data set of a configuration");
  data_app->require_subcommand(1);
  CLI::App* verify_app =
      data_app->add_subcommand("verify", "List the files that are right, missing or damaged, and what to do");
  verify_app->add_option("config", verify_config.path, "Configuration file")->required()->type_name("FILE");
  verify_config.add_to(*verify_app);

  CLI::App* list_app = data_app->add_subcommand("list", "List the data sets: what data.dataset may be");
  bool list_json = false;
  list_app->add_flag("--json", list_json, "Print the table of tools/fetch_data instead");

  EvaluateArguments evaluate;
  CLI::App* evaluate_app =
      app.add_subcommand("evaluate", "Accuracy and loss of a trained model, with a table by class");
  evaluate_app->add_option("run", evaluate.run, "Run folder")->required()->type_name("FOLDER");
  evaluate_app->add_option("--data", evaluate.data, "Read the data from here instead of the run's data.path");
  evaluate_app->add_option("--split", evaluate.split, "Images to evaluate")
      ->check(CLI::IsMember({"test", "validation", "train"}));
  ModelFlags evaluate_model;
  evaluate_model.add_to(*evaluate_app);
  bool evaluate_no_verify = false;
  evaluate_app->add_flag("--no-verify", evaluate_no_verify, "Do not check the MD5 sums of the data files");

  evaluate_app->add_flag(
      "--review", evaluate.review,
      "Write the labels that the run found as review.csv, the least certain first, instead");

  PredictArguments predict;
  CLI::App* predict_app =
      app.add_subcommand("predict", "Classify images or feature vectors with a trained model");
  predict_app->add_option("run", predict.run, "Run folder")->required()->type_name("FOLDER");
  CLI::Option_group* predicted = predict_app->add_option_group("samples");
  predicted->require_option(1);
  predicted
      ->add_option("--images", predict.images,
                   "PNG or JPEG files or folders of them; IDX, CIFAR binary or SVHN's .mat files")
      ->type_name("FILE");
  predicted
      ->add_option("--features", predict.features,
                   "CSV files, a sample a line; or safetensors files with a tensor 'features' [N,D]")
      ->type_name("FILE");
  predict_app
      ->add_option("--top", predict.top,
                   "Write the K likeliest classes of each sample with their probabilities")
      ->type_name("K")
      ->check(CLI::Range(1, 65536));
  predict_app->add_option("--out", predict.out, "CSV file to write")->required()->type_name("FILE");
  ModelFlags predict_model;
  predict_model.add_to(*predict_app);

  PlotArguments plot;
  CLI::App* plot_app = app.add_subcommand("plot", "Compare runs in one chart");
  plot_app->add_option("runs", plot.runs, "Run folders")->required()->type_name("FOLDER");
  plot_app->add_option("--out", plot.out, "PNG file to write")->required()->type_name("FILE");
  plot_app->add_option("--column", plot.column, "Column of metrics.csv to plot")->capture_default_str();

  ConfigArguments preview_config;
  PreviewArguments preview;
  CLI::App* preview_app = app.add_subcommand("preview", "Draw training images and their augmented views");
  preview_app->add_option("config", preview_config.path, "Configuration file")->required()->type_name("FILE");
  preview_app->add_option("--out", preview.out, "PNG file to write")->required()->type_name("FILE");
  preview_app->add_option("--samples", preview.samples, "Number of images, from the first one")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  preview_config.add_to(*preview_app);

  ConfigArguments tune_config;
  TuneArguments tune;
  CLI::App* tune_app = app.add_subcommand(
      "tune", "Run the autotuner for the network of a configuration on the GPU, store and print its choices");
  tune_app->add_option("config", tune_config.path, "Configuration file")->required()->type_name("FILE");
  tune_app->add_flag("--list", tune.all, "Print every engine that was timed or excluded");
  tune_app
      ->add_option("--synthetic", tune.synthetic,
                   "Sizes to use instead of a data set, which is then not read: 32x32x3,10")
      ->type_name("HxWxC,CLASSES");
  tune_config.add_to(*tune_app);

  ConfigArguments shown_config;
  CLI::App* config_app =
      app.add_subcommand("config", "Check a configuration and print all its keys as a run would have them");
  config_app->add_option("config", shown_config.path, "Configuration file")->required()->type_name("FILE");
  shown_config.add_to(*config_app);

  CLI::App* methods_app =
      app.add_subcommand("methods", "List the methods: paper, formula, keys with defaults");

  // Not for users: train/qualification.h starts it.
  CLI::App* qualify_app = app.add_subcommand("qualify", "")->group("");

  ConfigArguments selftest_config;
  SelftestArguments selftest;
  CLI::App* selftest_app =
      app.add_subcommand("selftest", "Check results, repeatability and resuming on this machine");
  selftest_app
      ->add_option("config", selftest_config.path,
                   "Configuration whose network, with its data, is checked as well")
      ->type_name("FILE");
  selftest_app->add_option("--device", selftest.device, "Backend to check: cpu, cuda or cuda:N")
      ->check(CLI::IsMember({"cpu", "cuda"}) | CLI::Validator(is_numbered_gpu, "cuda:N"))
      ->capture_default_str();
  selftest_app
      ->add_option("--precision", selftest.precision,
                   "Type of activations and weights; default: the configuration's, or f32")
      ->check(CLI::IsMember({"f32", "f16", "bf16"}));
  selftest_app->add_option("--threads", selftest.threads, "CPU threads; 0: as many as the process may use")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  selftest_config.add_to(*selftest_app);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // --help and --version also end here, with exit code 0.
    if (error.get_exit_code() == 0) return app.exit(error);
    fail(ExitCode::usage, "{} (see dpll_engine --help)", error.what());
  }
  if (candidates_app->parsed()) {
    candidates.config = candidates_config.load();
    return candidates_command(candidates);
  }
  if (preview_app->parsed()) {
    preview.config = preview_config.load();
    return preview_command(preview);
  }
  if (tune_app->parsed()) {
    tune.config = tune_config.load();
    return tune_command(tune);
  }
  if (config_app->parsed()) {
    std::fputs(to_ini(shown_config.load()).c_str(), stdout);
    return 0;
  }
  if (methods_app->parsed()) return methods_command();
  if (qualify_app->parsed()) return selftest::answer_qualification();
  if (list_app->parsed()) return data_list_command(list_json);
  if (verify_app->parsed()) return data_verify_command(verify_config.load());
  if (evaluate_app->parsed()) {
    evaluate.verify = !evaluate_no_verify;
    evaluate.model = evaluate_model.chosen();
    return evaluate_command(evaluate);
  }
  if (predict_app->parsed()) {
    predict.model = predict_model.chosen();
    return predict_command(predict);
  }
  if (plot_app->parsed()) return plot_command(plot);
  if (selftest_app->parsed()) {
    if (!selftest_config.path.empty()) selftest.config = selftest_config.load();
    return selftest_command(selftest);
  }
  if (train_arguments.path.empty()) {
    std::fputs(app.help().c_str(), stdout);
    return static_cast<int>(ExitCode::usage);
  }
  return train_command([&] { return train_arguments.load(); });
}

}  // namespace

int run_command_line(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // at a file size limit write() then returns an error, as on a full disk
  try {
    return dispatch(argc, argv);
  } catch (const Error& error) {
    std::fprintf(stderr, "dpll_engine: %s\n", escaped(error.what()).c_str());
    return static_cast<int>(error.code());
  } catch (const Stopped& stopped) {
    std::fprintf(stderr, "dpll_engine: %s\n", stopped.what());
    return stopped.exit_code();
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "dpll_engine: not enough memory\n");
    return static_cast<int>(ExitCode::device);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "dpll_engine: unexpected: %s\n", escaped(error.what()).c_str());
    return static_cast<int>(ExitCode::internal);
  }
}

}  // namespace dpll
