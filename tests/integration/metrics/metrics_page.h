// Two sides that must agree: what a /metrics page shows, and what docs/metrics.md says.
#pragma once

#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

// "name type label,label", labels sorted; histograms without `le`. One string a metric, so that a
// failing comparison reads well.
using MetricLines = std::set<std::string>;

// The reflux_* metrics of a page in the Prometheus text format. Labels in `common` are left out.
MetricLines ParsePage(absl::string_view page, const std::set<std::string>& common = {});

// The value of the page's first sample of that name, whatever its labels. NotFound without one.
absl::StatusOr<double> ReadSample(absl::string_view page, absl::string_view name);

// GET http://`address`/metrics over a plain socket; the body. Blocks until the server has answered.
absl::StatusOr<std::string> Scrape(const std::string& address);

// The rows of the section "## `program`" of docs/metrics.md in the source tree (REFLUX_SOURCE).
absl::StatusOr<MetricLines> ReadDocumented(absl::string_view program);

}  // namespace reflux
