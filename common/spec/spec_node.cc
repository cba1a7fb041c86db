#include "common/spec/spec_node.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "common/base/utf8.h"
#include "common/spec/yaml_document.h"

namespace reflux {
namespace {

constexpr int kMaxNodes = 100000, kMaxDepth = 32;

// Copies yaml-cpp's graph into a tree of ours, bounded because aliases may repeat.
class TreeBuilder {
 public:
  explicit TreeBuilder(std::shared_ptr<const SpecOrigin> origin) : origin_(std::move(origin)) {}

  absl::StatusOr<SpecNode> Build(const YAML::Node& yaml, int depth) {
    SpecNode node;
    node.origin = origin_;
    node.line = std::max(1, yaml.Mark().line + 1);
    if (++nodes_ > kMaxNodes || depth > kMaxDepth) {
      return absl::ResourceExhaustedError(absl::StrCat(node.Where(), ": too large: at most ",
                                                       kMaxNodes, " values, ", kMaxDepth,
                                                       " levels (aliases count each time)"));
    }
    if (yaml.IsScalar()) return Scalar(std::move(node), yaml);
    if (yaml.IsSequence()) return List(std::move(node), yaml, depth);
    if (yaml.IsMap()) return Map(std::move(node), yaml, depth);
    return node;
  }

 private:
  // What goes into messages of the protocol must be UTF-8.
  static absl::Status CheckText(const SpecNode& at, const std::string& text) {
    if (IsUtf8(text)) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(at.Where(), ": the text is not UTF-8"));
  }

  static absl::StatusOr<SpecNode> Scalar(SpecNode node, const YAML::Node& yaml) {
    REFLUX_RETURN_IF_ERROR(CheckText(node, yaml.Scalar()));
    node.kind = SpecNode::Kind::kScalar;
    node.scalar = yaml.Scalar();
    node.quoted = yaml.Tag() == "!";
    return node;
  }

  absl::StatusOr<SpecNode> List(SpecNode node, const YAML::Node& yaml, int depth) {
    node.kind = SpecNode::Kind::kList;
    for (const YAML::Node& item : yaml) {
      REFLUX_ASSIGN_OR_RETURN(SpecNode child, Build(item, depth + 1));
      node.items.push_back(std::move(child));
    }
    return node;
  }

  absl::StatusOr<SpecNode> Map(SpecNode node, const YAML::Node& yaml, int depth) {
    node.kind = SpecNode::Kind::kMap;
    for (const auto& entry : yaml) {
      REFLUX_ASSIGN_OR_RETURN(SpecNode child, Build(entry.second, depth + 1));
      child.line = entry.first.Mark().line + 1;
      if (!entry.first.IsScalar()) {
        return absl::InvalidArgumentError(
            absl::StrCat(child.Where(), ": a key must be a plain word"));
      }
      const std::string key = entry.first.Scalar();
      REFLUX_RETURN_IF_ERROR(CheckText(child, key));
      if (node.Find(key) != nullptr) {
        return absl::InvalidArgumentError(absl::StrCat(child.Where(), ": `", key,
                                                       "` is given twice (first in line ",
                                                       node.Find(key)->line, ")"));
      }
      node.entries.emplace_back(key, std::move(child));
    }
    return node;
  }

  const std::shared_ptr<const SpecOrigin> origin_;
  int nodes_ = 0;
};

template <typename Node>
auto FindIn(Node& node, absl::string_view key) -> decltype(&node.entries[0].second) {
  for (auto& entry : node.entries) {
    if (entry.first == key) return &entry.second;
  }
  return nullptr;
}

}  // namespace

const SpecNode* SpecNode::Find(absl::string_view key) const { return FindIn(*this, key); }
SpecNode* SpecNode::Find(absl::string_view key) { return FindIn(*this, key); }

void SpecNode::Erase(absl::string_view key) {
  entries.erase(std::remove_if(entries.begin(), entries.end(),
                               [&](const Entry& entry) { return entry.first == key; }),
                entries.end());
}

std::string SpecNode::Where() const {
  if (origin == nullptr) return "";
  return origin->lines ? absl::StrCat(origin->name, ":", line) : origin->name;
}

absl::StatusOr<SpecNode> ParseSpecYaml(const std::string& text,
                                       std::shared_ptr<const SpecOrigin> origin) {
  try {
    const std::optional<int> line = LineAfterDocument(text);
    if (!line.has_value()) return TreeBuilder(origin).Build(YAML::Load(text), 0);
    SpecNode second;
    second.origin = origin;
    second.line = *line;
    return absl::InvalidArgumentError(
        absl::StrCat(second.Where(), ": a second document (one job a file), or a stray comma"));
  } catch (const YAML::Exception& error) {
    SpecNode at;
    at.origin = origin;
    at.line = error.mark.line + 1;
    return absl::InvalidArgumentError(absl::StrCat(at.Where(), ": not YAML: ", error.msg));
  }
}

void MergeSpec(SpecNode& base, SpecNode over) {
  if (base.kind != SpecNode::Kind::kMap || over.kind != SpecNode::Kind::kMap) {
    base = std::move(over);
    return;
  }
  for (SpecNode::Entry& entry : over.entries) {
    if (SpecNode* present = base.Find(entry.first)) {
      MergeSpec(*present, std::move(entry.second));
    } else {
      base.entries.push_back(std::move(entry));
    }
  }
  // A block of a file stays where the file has it when --set or a grid changes a field of it.
  if (over.origin != nullptr && !over.origin->lines) return;
  base.line = over.line;
  base.origin = over.origin;
  base.shorthand = over.shorthand;
}

absl::Status ExpandTeacherShorthand(SpecNode& root) {
  SpecNode* short_form = root.Find("teacher");
  if (short_form == nullptr) return absl::OkStatus();
  SpecNode teacher = std::move(*short_form);
  root.Erase("teacher");
  teacher.shorthand = true;
  SpecNode* teachers = root.Find("teachers");
  if (teachers == nullptr || teachers->kind != SpecNode::Kind::kMap) {
    root.Erase("teachers");
    SpecNode map;
    map.kind = SpecNode::Kind::kMap;
    map.line = teacher.line;
    map.origin = teacher.origin;
    root.entries.emplace_back("teachers", std::move(map));
    teachers = root.Find("teachers");
  }
  if (teachers->Find("default") != nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(teacher.Where(), ": teacher: is short for teachers.default, given too"));
  }
  teachers->entries.emplace_back("default", std::move(teacher));
  return absl::OkStatus();
}

SpecNode NodeAtPath(absl::string_view path, SpecNode value) {
  SpecNode place;
  place.kind = SpecNode::Kind::kMap;
  place.line = value.line;
  if (value.origin != nullptr) {
    auto origin = std::make_shared<SpecOrigin>(*value.origin);
    origin->name = value.Where();
    origin->lines = false;
    place.origin = std::move(origin);
  }
  const std::vector<std::string> parts = absl::StrSplit(path, '.');
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    SpecNode outer = place;
    outer.entries.emplace_back(*part, std::move(value));
    value = std::move(outer);
  }
  ExpandTeacherShorthand(value).IgnoreError();  // it fails only beside `teachers`
  return value;
}

absl::Status ApplyOverride(SpecNode& root, const std::string& assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--set ", assignment, ": expected PATH=VALUE, e.g. --set train.seed=3"));
  }
  auto origin = std::make_shared<SpecOrigin>();
  origin->name = "--set " + assignment;
  std::error_code error;
  origin->folder = std::filesystem::current_path(error).string();
  origin->lines = false;
  REFLUX_ASSIGN_OR_RETURN(SpecNode value, ParseSpecYaml(assignment.substr(equals + 1), origin));
  MergeSpec(root, NodeAtPath(absl::string_view(assignment).substr(0, equals), std::move(value)));
  return absl::OkStatus();
}

}  // namespace reflux
