// Losses of one's own: each is one file in distill/losses/own, which the build finds by itself; a
// job names it under `losses.own` (docs/add_a_loss.md).
//
// The file NAME.cc defines `reflux::own::NAME::Describe()`. No code runs before main and nothing
// registers itself: the build writes a function that calls each of these.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "distill/losses/loss.h"
#include "distill/losses/loss_schedule.h"
#include "distill/losses/tap_loss.h"

namespace reflux {

// A number that a job may set.
struct OwnOption {
  std::string name;
  double default_value = 0;
  double low = 0, high = 0;  // what is allowed, both included
  std::string doc;
};

struct OwnLossInput {
  TapLossOptions tap;  // the job's tap, with its channels on both sides
  int64_t num_classes = 0;
  std::map<std::string, double> options;  // a value for every option of the loss
};

struct OwnLoss {
  std::string doc;
  std::vector<OwnOption> options;
  // Makes the loss. Throws nothing; what it reads is checked.
  std::function<std::shared_ptr<Loss>(const OwnLossInput&)> make;
  LossKind kind = LossKind::kRelation;
};

// By name. Thread-safe.
const std::map<std::string, OwnLoss>& OwnLosses();

// `options`: those that the job gives. NotFound for an unknown loss, InvalidArgument for an option
// that is unknown or out of range; both list what there is. `input.options` is filled in.
absl::StatusOr<std::shared_ptr<Loss>> MakeOwnLoss(const std::string& name, OwnLossInput input,
                                                  const std::map<std::string, double>& options);

}  // namespace reflux
