// A job file as a tree that remembers where each value was written, so that a value merged in from
// a recipe or from the command line is still reported at its own file and line. Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

// Where nodes come from: shown in messages; relative paths in it start at `folder`.
struct SpecOrigin {
  std::string name;
  std::string folder;
  bool lines = true;  // false: `name` alone says where (--set)
};

struct SpecNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  struct Entry;

  Kind kind = Kind::kNull;
  std::string scalar;
  bool quoted = false;
  int line = 0;  // of the key for a value of a map, from 1
  std::shared_ptr<const SpecOrigin> origin;
  std::vector<SpecNode> items;  // of a list
  std::vector<Entry> entries;   // of a map, in the order of the file
  bool shorthand = false;       // written as `teacher`, stored as teachers.default

  const SpecNode* Find(absl::string_view key) const;
  SpecNode* Find(absl::string_view key);
  void Erase(absl::string_view key);
  // "job.yaml:7", or the origin's name alone.
  std::string Where() const;
};

// Not a std::pair, which asks of SpecNode what cannot be known before it is complete.
struct SpecNode::Entry {
  std::string first;  // the key
  SpecNode second;
};

// Parses one YAML document. InvalidArgument "file:line: ..." for bad YAML and keys given twice;
// ResourceExhausted beyond 100,000 nodes or 32 levels (aliases count each time they are used).
absl::StatusOr<SpecNode> ParseSpecYaml(const std::string& text,
                                       std::shared_ptr<const SpecOrigin> origin);

// Lays `over` on `base`: maps are merged key by key, anything else of `over` takes the place of
// what was there.
void MergeSpec(SpecNode& base, SpecNode over);

// Rewrites the short form `teacher: X` to `teachers: {default: X}`. InvalidArgument if both name
// the default teacher.
absl::Status ExpandTeacherShorthand(SpecNode& root);

// `value` as the field at `path` ("train.seed") of an otherwise empty tree; `teacher.` is rewritten
// (ExpandTeacherShorthand). The blocks around it are of `value`'s place, but do not move blocks of
// the tree that they are merged into.
SpecNode NodeAtPath(absl::string_view path, SpecNode value);

// Lays `--set PATH=VALUE` on `root`; VALUE is YAML. InvalidArgument for anything else.
absl::Status ApplyOverride(SpecNode& root, const std::string& assignment);

}  // namespace reflux
