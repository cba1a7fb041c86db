// One YAML document, however broken the text. Thread-safe.
#pragma once

#include <yaml-cpp/yaml.h>

#include <optional>
#include <string>

namespace reflux {

// The line, from 1, where something follows the first document of `text`: another one, or a comma
// outside of any list. Throws YAML::Exception.
//
// YAML::LoadAll is of no use: at such a comma it makes empty documents until memory ends.
std::optional<int> LineAfterDocument(const std::string& text);

}  // namespace reflux
