// A tree into a protobuf message of config.proto, by reflection.
#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "common/spec/field_options.h"
#include "common/spec/spec_node.h"
#include "common/spec/spec_problem.h"

namespace reflux {

// Not thread-safe; appends what is wrong to the list given and reads on.
class SpecReader {
 public:
  explicit SpecReader(SpecProblems& problems) : problems_(problems) {}

  // Sets the fields of `message` that `node` (a map) names. `path` is what messages call the block,
  // empty for the root. A null value leaves the field absent.
  void ReadBlock(const SpecNode& node, const std::string& path, google::protobuf::Message& message);
  // One field, as a value of the block `parent_path`.
  void ReadField(const SpecNode& node, const std::string& path, google::protobuf::Message& message,
                 const FieldDescriptor& field);

  void Report(const SpecNode& node, const std::string& path, const std::string& text);

 private:
  void ReportUnknown(const SpecNode& node, const std::string& parent, const std::string& key,
                     const google::protobuf::Descriptor& block);
  void ReadMap(const SpecNode& node, const std::string& path, google::protobuf::Message& message,
               const FieldDescriptor& field);
  void ReadList(const SpecNode& node, const std::string& path, google::protobuf::Message& message,
                const FieldDescriptor& field);
  // Sets a singular scalar, or adds to a repeated one.
  void ReadScalar(const SpecNode& node, const std::string& path, google::protobuf::Message& message,
                  const FieldDescriptor& field);
  void Wrong(const SpecNode& node, const std::string& path, const std::string& expected);

  SpecProblems& problems_;
};

// Gives every absent scalar and list of `message`, and of the blocks in it that are present, its
// (default_text).
void FillDefaults(google::protobuf::Message& message);

// "a.b" from "a" and "b".
std::string JoinPath(const std::string& parent, const std::string& name);

}  // namespace reflux
