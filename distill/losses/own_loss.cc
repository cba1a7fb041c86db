#include "distill/losses/own_loss.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace reflux {
namespace {

std::string OptionNames(const OwnLoss& loss) {
  std::vector<std::string> names;
  for (const OwnOption& option : loss.options) names.push_back(option.name);
  return names.empty() ? "none" : absl::StrJoin(names, ", ");
}

std::string LossNames() {
  std::vector<std::string> names;
  for (const auto& [name, loss] : OwnLosses()) names.push_back(name);
  return names.empty() ? "none" : absl::StrJoin(names, ", ");
}

absl::Status CheckOption(const std::string& field, const OwnLoss& loss, const std::string& name,
                         double value) {
  const auto option = std::find_if(loss.options.begin(), loss.options.end(),
                                   [&](const OwnOption& o) { return o.name == name; });
  if (option == loss.options.end()) {
    return absl::InvalidArgumentError(absl::StrCat(
        field, ".options.", name, ": no such option; the loss has: ", OptionNames(loss)));
  }
  if (value >= option->low && value <= option->high) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, ".options.", name, ": ", value,
                                                 " is out of range [", option->low, ", ",
                                                 option->high, "]"));
}

}  // namespace

absl::StatusOr<std::shared_ptr<Loss>> MakeOwnLoss(const std::string& name, OwnLossInput input,
                                                  const std::map<std::string, double>& options) {
  const std::string field = absl::StrCat("losses.own.", name);
  const auto found = OwnLosses().find(name);
  if (found == OwnLosses().end()) {
    return absl::NotFoundError(absl::StrCat(field, ": there is no distill/losses/own/", name,
                                            ".cc; there are: ", LossNames()));
  }
  const OwnLoss& loss = found->second;
  input.options = options;
  for (const OwnOption& option : loss.options) {
    input.options.emplace(option.name, option.default_value);
  }
  for (const auto& [option, value] : input.options) {
    if (absl::Status s = CheckOption(field, loss, option, value); !s.ok()) return s;
  }
  if (absl::Status s = input.tap.Validate(absl::StrCat("own.", name)); !s.ok()) return s;
  return loss.make(input);
}

}  // namespace reflux
