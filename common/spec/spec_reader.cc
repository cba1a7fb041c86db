#include "common/spec/spec_reader.h"

#include <cmath>
#include <filesystem>
#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace reflux {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using Kind = SpecNode::Kind;

std::string Describe(const SpecNode& node) {
  switch (node.kind) {
    case Kind::kNull:
      return "nothing";
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      return "a block";
    case Kind::kScalar:
      break;
  }
  return absl::StrCat(node.quoted ? "the text `" : "`", node.scalar, "`");
}

// Relative paths are meant from the folder of the file that names them.
std::string Absolute(const SpecNode& node) {
  const std::filesystem::path path(node.scalar);
  if (path.empty() || path.is_absolute() || node.origin == nullptr) return node.scalar;
  return (std::filesystem::path(node.origin->folder) / path).lexically_normal().string();
}

// Stores `value` in a singular field or at the end of a repeated one.
#define REFLUX_STORE(Type, value)                                                      \
  (field.is_repeated() ? message.GetReflection()->Add##Type(&message, &field, (value)) \
                       : message.GetReflection()->Set##Type(&message, &field, (value)))

bool StoreBool(const SpecNode& node, Message& message, const FieldDescriptor& field) {
  if (node.quoted || (node.scalar != "true" && node.scalar != "false")) return false;
  REFLUX_STORE(Bool, node.scalar == "true");
  return true;
}

bool StoreInt32(const SpecNode& node, Message& message, const FieldDescriptor& field) {
  int32_t value = 0;
  if (node.quoted || !absl::SimpleAtoi(node.scalar, &value)) return false;
  REFLUX_STORE(Int32, value);
  return true;
}

bool StoreUInt64(const SpecNode& node, Message& message, const FieldDescriptor& field) {
  uint64_t value = 0;
  if (node.quoted || !absl::SimpleAtoi(node.scalar, &value)) return false;
  REFLUX_STORE(UInt64, value);
  return true;
}

bool StoreDouble(const SpecNode& node, Message& message, const FieldDescriptor& field) {
  double value = 0;
  if (node.quoted || !absl::SimpleAtod(node.scalar, &value) || !std::isfinite(value)) return false;
  REFLUX_STORE(Double, value);
  return true;
}

std::vector<std::string> FieldNames(const Descriptor& block) {
  std::vector<std::string> names;
  for (int i = 0; i < block.field_count(); ++i) names.push_back(block.field(i)->name());
  if (block.name() == "JobSpec") names.insert(names.end(), {"teacher", "extends"});
  return names;
}

void FillField(Message& message, const FieldDescriptor& field) {
  const std::string text = FactsOf(field).default_text;
  if (text.empty()) return;
  absl::StatusOr<SpecNode> node = ParseSpecYaml(text, nullptr);
  if (!node.ok()) return;  // a test reads every default
  // "0.0001" is a number for a number, and a string for a string such as "replay: 8".
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING && !field.is_repeated()) {
    *node = SpecNode();
    node->kind = Kind::kScalar;
    node->scalar = text;
  }
  SpecProblems ignored;
  SpecReader(ignored).ReadField(*node, field.name(), message, field);
}

bool IsAbsent(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  return field.is_repeated() ? reflection.FieldSize(message, &field) == 0
                             : !reflection.HasField(message, &field);
}

void FillMap(Message& message, const FieldDescriptor& field) {
  const FieldDescriptor* value = field.message_type()->FindFieldByName("value");
  if (value->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return;
  const Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    Message* entry = reflection.MutableRepeatedMessage(&message, &field, i);
    FillDefaults(*entry->GetReflection()->MutableMessage(entry, value));
  }
}

}  // namespace

std::string JoinPath(const std::string& parent, const std::string& name) {
  return parent.empty() ? name : absl::StrCat(parent, ".", name);
}

void SpecReader::Report(const SpecNode& node, const std::string& path, const std::string& text) {
  problems_.push_back({node.Where(), path, text, false, node.line});
}

void SpecReader::Wrong(const SpecNode& node, const std::string& path, const std::string& expected) {
  Report(node, path, absl::StrCat("expected ", expected, ", got ", Describe(node)));
}

void SpecReader::ReportUnknown(const SpecNode& node, const std::string& parent,
                               const std::string& key, const Descriptor& block) {
  const std::vector<std::string> names = FieldNames(block);
  const std::string nearest = NearestName(key, names);
  const std::string hint = nearest.empty() ? absl::StrCat("known: ", absl::StrJoin(names, ", "))
                                           : absl::StrCat("did you mean `", nearest, "`?");
  Report(node, JoinPath(parent, key),
         absl::StrCat("unknown field, ", hint, " (reflux explain", parent.empty() ? "" : " ",
                      parent, ")"));
}

void SpecReader::ReadBlock(const SpecNode& node, const std::string& path, Message& message) {
  if (node.kind != Kind::kMap) {
    Wrong(node, path, "a block of fields");
    return;
  }
  for (const auto& [key, value] : node.entries) {
    const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(key);
    if (field == nullptr) {
      ReportUnknown(value, path, key, *message.GetDescriptor());
      continue;
    }
    ReadField(value, JoinPath(path, key), message, *field);
  }
}

void SpecReader::ReadField(const SpecNode& node, const std::string& path, Message& message,
                           const FieldDescriptor& field) {
  if (node.kind == Kind::kNull) return;
  if (field.is_map()) {
    ReadMap(node, path, message, field);
  } else if (field.is_repeated()) {
    ReadList(node, path, message, field);
  } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    ReadBlock(node, path, *message.GetReflection()->MutableMessage(&message, &field));
  } else {
    ReadScalar(node, path, message, field);
  }
}

void SpecReader::ReadMap(const SpecNode& node, const std::string& path, Message& message,
                         const FieldDescriptor& field) {
  if (node.kind != Kind::kMap) {
    Wrong(node, path, "a map");
    return;
  }
  for (const auto& [key, value] : node.entries) {
    if (value.kind == Kind::kNull) continue;
    Message* entry = message.GetReflection()->AddMessage(&message, &field);
    SpecNode key_node = value;
    key_node.kind = Kind::kScalar;
    key_node.scalar = key;
    const std::string entry_path = value.shorthand ? "teacher" : JoinPath(path, key);
    ReadScalar(key_node, entry_path, *entry, *entry->GetDescriptor()->FindFieldByName("key"));
    SpecNode value_node = value;
    // A map says of its values what an option says of a field.
    if (FactsOf(field).path && value.kind == Kind::kScalar) value_node.scalar = Absolute(value);
    ReadField(value_node, entry_path, *entry, *entry->GetDescriptor()->FindFieldByName("value"));
  }
}

void SpecReader::ReadList(const SpecNode& node, const std::string& path, Message& message,
                          const FieldDescriptor& field) {
  if (node.kind != Kind::kList) {
    Wrong(node, path, absl::StrCat("a ", TypeName(field)));
    return;
  }
  for (const SpecNode& item : node.items) ReadScalar(item, path, message, field);
}

void SpecReader::ReadScalar(const SpecNode& node, const std::string& path, Message& message,
                            const FieldDescriptor& field) {
  bool stored = false;
  if (node.kind == Kind::kScalar) {
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_BOOL:
        stored = StoreBool(node, message, field);
        break;
      case FieldDescriptor::CPPTYPE_INT32:
        stored = StoreInt32(node, message, field);
        break;
      case FieldDescriptor::CPPTYPE_UINT64:
        stored = StoreUInt64(node, message, field);
        break;
      case FieldDescriptor::CPPTYPE_DOUBLE:
        stored = StoreDouble(node, message, field);
        break;
      default:
        REFLUX_STORE(String, FactsOf(field).path ? Absolute(node) : node.scalar);
        stored = true;
    }
  }
  if (stored) return;
  const std::string type = TypeName(field);
  const bool whole = type.find("whole number") != std::string::npos;
  Wrong(node, path,
        field.is_repeated()                                            ? absl::StrCat("a ", type)
        : whole && field.cpp_type() == FieldDescriptor::CPPTYPE_UINT64 ? "a whole number from 0"
        : type == "true or false" || type == "text"                    ? type
                                                                       : absl::StrCat("a ", type));
}

void FillDefaults(Message& message) {
  const Descriptor& block = *message.GetDescriptor();
  const Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < block.field_count(); ++i) {
    const FieldDescriptor& field = *block.field(i);
    if (field.is_map()) {
      FillMap(message, field);
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (!IsAbsent(message, field)) FillDefaults(*reflection.MutableMessage(&message, &field));
    } else if (IsAbsent(message, field)) {
      FillField(message, field);
    }
  }
}

}  // namespace reflux
