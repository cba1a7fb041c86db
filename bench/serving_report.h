// The result of reflux-bench-serving as a table and as JSON. Torch-free.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace reflux {

struct ServingBenchOptions {
  int rounds = 7;
  int batches = 8;  // full batches of a row in a round
  int singles = 8;  // lone requests of a row in a round
  int batch = 4;    // images of a forward
  int clients = 4;  // requests in flight at full load, each for one batch
  int runners = 1;
  int threads = 0;  // of a forward; 0: all cores
  double max_delay_ms = 5;
  std::string precision = "fp32", tap = "logits", codec = "fp16";
  std::string teacher_model = "deeplabv3_resnet101";
  int height = 180, width = 240;

  absl::Status Resolve();
};

// One round.
struct ServingMeasurement {
  double bare_rate = 0;       // images/s of the model loop alone
  double served_rate = 0;     // images/s of the server at full batches
  double bare_seconds = 0;    // one image, by a source in this process
  double served_seconds = 0;  // one image, by the idle server
};

std::string ServingTable(const ServingBenchOptions& options,
                         const std::vector<ServingMeasurement>& rounds);
std::string ServingJson(const ServingBenchOptions& options,
                        const std::vector<ServingMeasurement>& rounds);

}  // namespace reflux
