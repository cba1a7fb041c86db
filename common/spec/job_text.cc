// A spec as JSON and as YAML.
#include <google/protobuf/util/json_util.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/spec/field_options.h"
#include "common/spec/job_file.h"

namespace reflux {
namespace {

using google::protobuf::Message;
using google::protobuf::Reflection;

// Shortest text that reads back as the same number.
std::string NumberText(double value) {
  for (int digits = 6; digits < 17; ++digits) {
    char text[40];
    std::snprintf(text, sizeof(text), "%.*g", digits, value);
    if (std::strtod(text, nullptr) == value) return text;
  }
  char text[40];
  std::snprintf(text, sizeof(text), "%.17g", value);
  return text;
}

void EmitBlock(YAML::Emitter& out, const Message& message);

void EmitValue(YAML::Emitter& out, const Message& message, const FieldDescriptor& field, int i) {
  const Reflection& r = *message.GetReflection();
  const bool list = field.is_repeated();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      EmitBlock(out, r.GetMessage(message, &field));
      break;
    case FieldDescriptor::CPPTYPE_BOOL:
      out << (list ? r.GetRepeatedBool(message, &field, i) : r.GetBool(message, &field));
      break;
    case FieldDescriptor::CPPTYPE_INT32:
      out << (list ? r.GetRepeatedInt32(message, &field, i) : r.GetInt32(message, &field));
      break;
    case FieldDescriptor::CPPTYPE_UINT64:
      out << (list ? r.GetRepeatedUInt64(message, &field, i) : r.GetUInt64(message, &field));
      break;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      out << NumberText(list ? r.GetRepeatedDouble(message, &field, i)
                             : r.GetDouble(message, &field));
      break;
    default:
      out << (list ? r.GetRepeatedString(message, &field, i) : r.GetString(message, &field));
  }
}

// Maps have no order of their own: by key.
void EmitMap(YAML::Emitter& out, const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  const FieldDescriptor* key = field.message_type()->FindFieldByName("key");
  const FieldDescriptor* value = field.message_type()->FindFieldByName("value");
  std::vector<std::pair<std::string, const Message*>> entries;
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    const Message& entry = reflection.GetRepeatedMessage(message, &field, i);
    const Reflection& r = *entry.GetReflection();
    const bool text = key->cpp_type() == FieldDescriptor::CPPTYPE_STRING;
    entries.emplace_back(text ? r.GetString(entry, key) : absl::StrCat(r.GetInt32(entry, key)),
                         &entry);
  }
  std::sort(entries.begin(), entries.end());
  out << YAML::BeginMap;
  for (const auto& [name, entry] : entries) {
    out << YAML::Key << name << YAML::Value;
    EmitValue(out, *entry, *value, 0);
  }
  out << YAML::EndMap;
}

void EmitList(YAML::Emitter& out, const Message& message, const FieldDescriptor& field) {
  out << YAML::Flow << YAML::BeginSeq;
  for (int i = 0; i < message.GetReflection()->FieldSize(message, &field); ++i) {
    EmitValue(out, message, field, i);
  }
  out << YAML::EndSeq;
}

bool IsSet(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  return field.is_repeated() ? reflection.FieldSize(message, &field) > 0
                             : reflection.HasField(message, &field);
}

void EmitBlock(YAML::Emitter& out, const Message& message) {
  out << YAML::BeginMap;
  const google::protobuf::Descriptor& block = *message.GetDescriptor();
  for (int i = 0; i < block.field_count(); ++i) {
    const FieldDescriptor& field = *block.field(i);
    const bool set = IsSet(message, field);
    if (!set && !FactsOf(field).present) continue;
    out << YAML::Key << field.name() << YAML::Value;
    if (!set) {
      out << YAML::Null;  // removed: it would be there otherwise
    } else if (field.is_map()) {
      EmitMap(out, message, field);
    } else if (field.is_repeated()) {
      EmitList(out, message, field);
    } else {
      EmitValue(out, message, field, 0);
    }
  }
  out << YAML::EndMap;
}

}  // namespace

std::string ToJson(const v1::JobSpec& spec) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  // Fails for messages of unknown type only, which a JobSpec has not.
  (void)google::protobuf::util::MessageToJsonString(spec, &json, options);
  return json;
}

absl::StatusOr<v1::JobSpec> FromJson(const std::string& json) {
  v1::JobSpec spec;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &spec);
  if (!status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("not a job: ", std::string(status.message())));
  }
  return spec;
}

std::string ResolvedYaml(const v1::JobSpec& spec) {
  YAML::Emitter out;
  EmitBlock(out, spec);
  return absl::StrCat(out.c_str(), "\n");
}

}  // namespace reflux
