// The MetricRegistry that Prometheus scrapes at http://address/metrics.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/metrics/registry.h"

namespace reflux {

class PrometheusRegistry : public MetricRegistry {
 public:
  // Serves on host:port (port 0: a free one). InvalidArgument when that is not host:port,
  // AlreadyExists when the port is in use. `common` labels stand on every metric (e.g. {"job_id":
  // ..., "rank": ...}).
  static absl::StatusOr<std::unique_ptr<PrometheusRegistry>> Start(const std::string& address,
                                                                   const MetricLabels& common = {});
  ~PrometheusRegistry() override;
  // host:port with the real port.
  std::string address() const;

  Counter AddCounter(const std::string& name, const std::string& help,
                     const MetricLabels& labels) override;
  Gauge AddGauge(const std::string& name, const std::string& help,
                 const MetricLabels& labels) override;
  Histogram AddHistogram(const std::string& name, const std::string& help,
                         const std::vector<double>& bounds, const MetricLabels& labels) override;

 private:
  struct State;
  explicit PrometheusRegistry(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace reflux
