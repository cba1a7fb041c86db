// From a word of a job file to the value of an enumeration.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace reflux {

// The value that `choices` pair with `word`. InvalidArgument names the field ("losses.cwd.norm"),
// the word and every choice.
template <typename Enum>
absl::StatusOr<Enum> Choose(absl::string_view field, absl::string_view word,
                            std::initializer_list<std::pair<const char*, Enum>> choices) {
  std::string allowed;
  for (const auto& [text, value] : choices) {
    if (word == text) return value;
    absl::StrAppend(&allowed, allowed.empty() ? "" : ", ", text);
  }
  return absl::InvalidArgumentError(absl::StrCat(field, ": '", word, "' is none of ", allowed));
}

}  // namespace reflux
