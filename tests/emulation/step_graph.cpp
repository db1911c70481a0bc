#include "emulation/step_graph.h"

#include <algorithm>
#include <cstring>
#include <thread>

#include "bench/step_bench.h"
#include "dpll/candidates.h"
#include "emulation/emulated_backend.h"

namespace dpll::test {
namespace {

// The first of so many ranks, of which no other is there: for what is enqueued and never runs.
class AbsentRanks final : public Ranks {
 public:
  explicit AbsentRanks(int size) : size_(size) {}
  int rank() const override { return 0; }
  int size() const override { return size_; }
  int local_rank() const override { return 0; }
  int local_size() const override { return size_; }
  void all_gather(const void* own, std::size_t bytes, void* all) override {
    for (int rank = 0; rank < size_; ++rank) {
      std::memcpy(static_cast<std::byte*>(all) + static_cast<std::size_t>(rank) * bytes, own, bytes);
    }
  }
  std::vector<std::vector<std::uint8_t>> all_gather(const std::vector<std::uint8_t>& own) override {
    return std::vector<std::vector<std::uint8_t>>(static_cast<std::size_t>(size_), own);
  }
  void broadcast(void*, std::size_t) override {}
  std::unique_ptr<Sum> start_sum(float*, std::int64_t) override { return nullptr; }
  std::unique_ptr<Sum> start_sum(double*, std::int64_t) override { return nullptr; }
  void wait_until(const std::function<bool()>& done) override {
    while (!done()) std::this_thread::yield();
  }
  double seconds_waited() const override { return 0; }

 private:
  int size_;
};

}  // namespace

emulation::Graph step_graph(const StepShape& shape) {
  RunConfig config = bench::config_of_model(shape.model);
  config.optimiser.batch = shape.batch;
  config.views.strong = shape.strong;
  const DataSet data = bench::noise_data(config, std::int64_t{2} * shape.batch, shape.classes, 0);
  CandidateSets candidates(data.train.count, shape.classes);
  for (std::int64_t i = 0; i < data.train.count; ++i)
    candidates.insert(i, static_cast<int>(i % shape.classes));

  std::vector<emulation::Graph> graphs;
  emulation::set_counting([&](const emulation::Graph& graph) {
    graphs.push_back(graph);
    // What a node runs may hold what the backend is made of, and nothing runs.
    for (emulation::Node& node : graphs.back().nodes) node.run = nullptr;
  });
  struct Counted {
    ~Counted() { emulation::set_counting({}); }
  } const counted;
  const std::unique_ptr<Backend> backend = emulated_cuda::make_counting_backend(shape.compute);
  const InputShape input{static_cast<int>(data.train.height), static_cast<int>(data.train.width),
                         static_cast<int>(data.train.channels), data.classes};
  const ViewSetup views = resolve_views(config, input.height, input.width, input.channels);
  const std::unique_ptr<Network> network = make_network(*backend, config, input);
  AbsentRanks ranks(shape.ranks);
  TrainingStep step(*backend, *network, config, views, data, candidates, shape.ranks > 1 ? &ranks : nullptr);
  step.attach(backend->allocate(step.arena_bytes(), "the activations").data());
  DPLL_CHECK(!graphs.empty(), "no graph was captured");
  return graphs.front();
}

std::vector<int> longest_chain(const emulation::Graph& graph,
                               const std::function<double(const emulation::Node&)>& weight) {
  std::vector<double> length;
  std::vector<int> before;
  for (const emulation::Node& node : graph.nodes) {
    int last = -1;
    for (const int other : node.after) {
      if (last < 0 || length[static_cast<std::size_t>(other)] > length[static_cast<std::size_t>(last)])
        last = other;
    }
    before.push_back(last);
    length.push_back(weight(node) + (last < 0 ? 0 : length[static_cast<std::size_t>(last)]));
  }
  std::vector<int> chain;
  if (length.empty()) return chain;
  for (auto at = static_cast<int>(std::max_element(length.begin(), length.end()) - length.begin()); at >= 0;
       at = before[static_cast<std::size_t>(at)]) {
    chain.push_back(at);
  }
  std::reverse(chain.begin(), chain.end());
  return chain;
}

}  // namespace dpll::test
