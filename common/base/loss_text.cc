#include "common/base/loss_text.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace reflux {

std::string LossText(std::optional<double> total, const std::map<std::string, double>& terms) {
  std::string text = total.has_value() ? absl::StrFormat("loss %.4g", *total) : "";
  std::vector<std::string> shown;
  for (const auto& [name, value] : terms) {
    if (name.find('.') == std::string::npos)
      shown.push_back(absl::StrFormat("%s %.4g", name, value));
  }
  if (!shown.empty()) {
    absl::StrAppend(&text, text.empty() ? "" : " ", "(", absl::StrJoin(shown, ", "), ")");
  }
  return text;
}

}  // namespace reflux
