// The subcommands of dpll_engine. Each returns the process's exit code and throws Error.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "dpll/config.h"

namespace dpll {

// Parses the command line, runs the command and returns the exit code. Prints every Error as one line on
// stderr.
int run_command_line(int argc, char** argv);

// Trains the configuration that `load` reads as trainer.h's train(), alone or together with the other ranks
// that a launcher has started. What is wrong with it is then said once.
int train_command(const std::function<RunConfig()>& load);

struct CandidatesArguments {
  RunConfig config;
  std::string out;
};
int candidates_command(const CandidatesArguments& arguments);

// Prints all values of data.dataset; or, as JSON, the sets that tools/fetch_data can download
// (tools/fetch_data.json).
int data_list_command(bool json);

// Prints for each file of the data set whether it is the published one. Error(data) if any is not.
int data_verify_command(const RunConfig& config);

// The models of a run: of the last epoch, its moving average, or that of the epoch selected without labels.
enum class KeptModel { last, average, selected };

struct EvaluateArguments {
  std::string run;   // run folder
  std::string data;  // overrides data.path if not empty
  std::string split = "test";
  KeptModel model = KeptModel::last;
  bool verify = true;
  bool review = false;  // write the run's labels.csv as review.csv, least certain first, and nothing else
};
int evaluate_command(const EvaluateArguments& arguments);

struct PredictArguments {
  std::string run;
  std::vector<std::string> images;
  std::vector<std::string> features;  // files, for a run that was trained on feature vectors
  std::string out;
  int top = 0;  // write so many classes a sample with their probabilities; 0: the likeliest one, by number
  KeptModel model = KeptModel::last;
};
int predict_command(const PredictArguments& arguments);

struct PlotArguments {
  std::vector<std::string> runs;
  std::string out;
  std::string column = "test_accuracy";
};
int plot_command(const PlotArguments& arguments);

struct PreviewArguments {
  RunConfig config;
  std::string out;
  int samples = 8;  // the first of the training set
};
// A picture of training images and their views in the first epoch.
int preview_command(const PreviewArguments& arguments);

// Lists the values of objective.method.
int methods_command();

struct TuneArguments {
  RunConfig config;
  bool all = false;  // print every engine that was timed, not only the chosen ones
  // HEIGHTxWIDTHxCHANNELS,CLASSES: use these sizes instead of the data of section [data]; or empty.
  std::string synthetic;
};
// Runs the autotuner for the network of the configuration on the GPU, unless run.tuning_cache has the
// results, and prints a table. Error(device) without a GPU, Error(usage) if `synthetic` is not a size.
int tune_command(const TuneArguments& arguments);

struct SelftestArguments {
  std::optional<RunConfig> config = {};  // its network is checked as well, at its own shapes
  std::string device = "cpu";            // or cuda, cuda:N
  std::string precision = {};            // f32, f16 or bf16; empty: the configuration's, or f32
  int threads = 0;                       // 0: as many as the process may use
};
// Checks on this machine the golden values of operations, the repeatability and the resume, and, for the
// network of a configuration, the same as the test of a GPU before a run. Prints the result of each check.
// Returns 1 if any failed.
int selftest_command(const SelftestArguments& arguments);

}  // namespace dpll
