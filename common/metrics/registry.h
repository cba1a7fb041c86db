// Metrics behind a seam: components take typed handles, only prometheus_registry.* knows
// Prometheus.
//
// A component declares `struct XMetrics { Counter hits; ... }` and a function that fills it from a
// MetricRegistry; a default-constructed handle does nothing, so tests need no registry. Names
// follow reflux_<component>_<what>_<unit>[_total]. Handles are cheap to copy and thread-safe; the
// registry must outlive them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace reflux {

class Counter {
 public:
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void Increment(double by) = 0;
  };
  Counter() = default;
  explicit Counter(Sink* sink) : sink_(sink) {}
  void Increment(double by = 1) {
    if (sink_ != nullptr) sink_->Increment(by);
  }

 private:
  Sink* sink_ = nullptr;
};

class Gauge {
 public:
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void Set(double value) = 0;
  };
  Gauge() = default;
  explicit Gauge(Sink* sink) : sink_(sink) {}
  void Set(double value) {
    if (sink_ != nullptr) sink_->Set(value);
  }

 private:
  Sink* sink_ = nullptr;
};

class Histogram {
 public:
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void Observe(double value) = 0;
  };
  Histogram() = default;
  explicit Histogram(Sink* sink) : sink_(sink) {}
  void Observe(double value) {
    if (sink_ != nullptr) sink_->Observe(value);
  }

 private:
  Sink* sink_ = nullptr;
};

using MetricLabels = std::map<std::string, std::string>;

class MetricRegistry {
 public:
  virtual ~MetricRegistry() = default;
  // The same (name, labels) gives the same metric.
  virtual Counter AddCounter(const std::string& name, const std::string& help,
                             const MetricLabels& labels = {}) = 0;
  virtual Gauge AddGauge(const std::string& name, const std::string& help,
                         const MetricLabels& labels = {}) = 0;
  // `bounds`: upper bucket bounds, ascending.
  virtual Histogram AddHistogram(const std::string& name, const std::string& help,
                                 const std::vector<double>& bounds,
                                 const MetricLabels& labels = {}) = 0;
};

// Buckets in seconds from 1 ms to 1 minute.
std::vector<double> LatencyBuckets();

}  // namespace reflux
