#include "common/metrics/prometheus_registry.h"

#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/listen_error.h"
#include "common/base/mutex.h"

namespace reflux {
namespace {

struct CounterSink : Counter::Sink {
  explicit CounterSink(prometheus::Counter& c) : counter(c) {}
  void Increment(double by) override { counter.Increment(by); }
  prometheus::Counter& counter;
};

struct GaugeSink : Gauge::Sink {
  explicit GaugeSink(prometheus::Gauge& g) : gauge(g) {}
  void Set(double value) override { gauge.Set(value); }
  prometheus::Gauge& gauge;
};

struct HistogramSink : Histogram::Sink {
  explicit HistogramSink(prometheus::Histogram& h) : histogram(h) {}
  void Observe(double value) override { histogram.Observe(value); }
  prometheus::Histogram& histogram;
};

}  // namespace

struct PrometheusRegistry::State {
  MetricLabels common;
  std::string host;
  std::shared_ptr<prometheus::Registry> registry = std::make_shared<prometheus::Registry>();
  std::unique_ptr<prometheus::Exposer> exposer;
  Mutex mutex;
  // Deques keep addresses: handles point into them.
  std::deque<CounterSink> counters REFLUX_GUARDED_BY(mutex);
  std::deque<GaugeSink> gauges REFLUX_GUARDED_BY(mutex);
  std::deque<HistogramSink> histograms REFLUX_GUARDED_BY(mutex);
};

PrometheusRegistry::PrometheusRegistry(std::unique_ptr<State> state) : state_(std::move(state)) {}
PrometheusRegistry::~PrometheusRegistry() = default;

absl::StatusOr<std::unique_ptr<PrometheusRegistry>> PrometheusRegistry::Start(
    const std::string& address, const MetricLabels& common) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("metrics: listen address '", address, "' is not host:port"));
  }
  auto state = std::make_unique<State>();
  state->common = common;
  state->host = address.substr(0, colon);
  try {
    state->exposer = std::make_unique<prometheus::Exposer>(address, 1);
  } catch (const std::exception&) {
    // What it says ("null context ...") helps nobody, and it knows no other reason.
    const absl::Status status = CannotListenError(address);
    return absl::Status(status.code(), absl::StrCat("metrics: ", status.message()));
  }
  state->exposer->RegisterCollectable(state->registry);
  return std::unique_ptr<PrometheusRegistry>(new PrometheusRegistry(std::move(state)));
}

std::string PrometheusRegistry::address() const {
  return absl::StrCat(state_->host, ":", state_->exposer->GetListeningPorts().front());
}

Counter PrometheusRegistry::AddCounter(const std::string& name, const std::string& help,
                                       const MetricLabels& labels) {
  auto& family = prometheus::BuildCounter()
                     .Name(name)
                     .Help(help)
                     .Labels(state_->common)
                     .Register(*state_->registry);
  MutexLock lock(state_->mutex);
  return Counter(&state_->counters.emplace_back(family.Add(labels)));
}

Gauge PrometheusRegistry::AddGauge(const std::string& name, const std::string& help,
                                   const MetricLabels& labels) {
  auto& family = prometheus::BuildGauge()
                     .Name(name)
                     .Help(help)
                     .Labels(state_->common)
                     .Register(*state_->registry);
  MutexLock lock(state_->mutex);
  return Gauge(&state_->gauges.emplace_back(family.Add(labels)));
}

Histogram PrometheusRegistry::AddHistogram(const std::string& name, const std::string& help,
                                           const std::vector<double>& bounds,
                                           const MetricLabels& labels) {
  auto& family = prometheus::BuildHistogram()
                     .Name(name)
                     .Help(help)
                     .Labels(state_->common)
                     .Register(*state_->registry);
  MutexLock lock(state_->mutex);
  return Histogram(&state_->histograms.emplace_back(family.Add(labels, bounds)));
}

}  // namespace reflux
