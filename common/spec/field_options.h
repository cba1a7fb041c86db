// What config.proto says about its fields, by reflection: the one source of `reflux explain`, of
// defaults and of checks. Thread-safe; descriptors live as long as the program.
#pragma once

#include <google/protobuf/descriptor.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace reflux {

using FieldDescriptor = google::protobuf::FieldDescriptor;

struct NumberRange {
  double low = 0, high = 0;
  bool low_open = false, high_open = false;
  std::string text;  // "[0, 1)"
  bool Contains(double x) const;
};

struct FieldFacts {
  std::string doc, unit, default_text, source;
  std::string unavailable;           // not empty: the field is not available in this version
  std::vector<std::string> allowed;  // values of a string; empty: any
  std::vector<std::string> planned;  // values that are not available in this version
  std::optional<NumberRange> range;
  bool path = false, present = false;
};

FieldFacts FactsOf(const FieldDescriptor& field);

// "number", "whole number", "true or false", "text", "list of ...", "map", "block".
std::string TypeName(const FieldDescriptor& field);

// The candidate nearest to `word` by edit distance, empty if none is near enough to be meant.
std::string NearestName(absl::string_view word, const std::vector<std::string>& candidates);

}  // namespace reflux
