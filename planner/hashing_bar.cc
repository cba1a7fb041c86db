#include "planner/hashing_bar.h"

#include <unistd.h>

#include <iostream>

namespace reflux {

HashWatch HashingBar::Watch(const Cancellation* stop) {
  return {.stop = stop, .on_done = [this](int64_t done, int64_t total) {
            if (bar_ == nullptr || done < done_) {  // images, then perhaps labels
              bar_ = std::make_unique<LateBar>(
                  std::cerr, ProgressBarOptions{.label = "hashing",
                                                .unit = "files",
                                                .total = total,
                                                .terminal = IsTerminal(STDERR_FILENO)});
            }
            done_ = done;
            bar_->Update(done);
          }};
}

}  // namespace reflux
