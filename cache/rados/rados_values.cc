#include "cache/rados/rados_values.h"

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

#include "common/base/status_macros.h"

namespace reflux {
namespace {

int64_t PartSize(int64_t size, int64_t part) {
  return std::min(kRadosPartBytes, size - part * kRadosPartBytes);
}

uint64_t Nonce() {
  std::random_device device;
  return (uint64_t{device()} << 32 | device()) | 1;  // never 0
}

absl::Status WriteParts(RadosNamespace& space, const RadosHeader& header, absl::string_view value) {
  for (int64_t part = 1; part < PartCount(header.size); ++part) {
    REFLUX_RETURN_IF_ERROR(space.Replace(PartName(header.key, header.nonce, part),
                                         value.substr(part * kRadosPartBytes, kRadosPartBytes),
                                         ""));
  }
  return absl::OkStatus();
}

absl::Status RemoveParts(RadosNamespace& space, const RadosHeader& header) {
  for (int64_t part = 1; part < PartCount(header.size); ++part) {
    REFLUX_RETURN_IF_ERROR(space.Remove(PartName(header.key, header.nonce, part)));
  }
  return absl::OkStatus();
}

// Null: no place is offered, or what comes is not known well enough to ask for one.
char* AskFor(const PlaceFn& place, const RadosEntry& entry) {
  if (place == nullptr || !entry.form.has_value()) return nullptr;
  return place(entry.form->WithoutBytes(), entry.size);
}

}  // namespace

absl::StatusOr<RadosHeader> ReadHeader(RadosNamespace& space, const TargetKey& key) {
  REFLUX_ASSIGN_OR_RETURN(const std::string bytes,
                          space.ReadStart(HeadName(key), kRadosHeaderSize));
  return DecodeRadosHeader(bytes);
}

absl::Status WriteValue(RadosNamespace& space, const RadosHeader& given, absl::string_view value) {
  RadosHeader header = given;
  if (PartCount(header.size) > 1) header.nonce = Nonce();
  REFLUX_RETURN_IF_ERROR(WriteParts(space, header, value));
  const std::string head = EncodeRadosHeader(header), name = HeadName(header.key);
  const absl::string_view first = value.substr(0, kRadosPartBytes);
  const absl::Status created = space.Create(name, head, first);
  if (!absl::IsAlreadyExists(created)) return created;
  const absl::StatusOr<RadosHeader> there = ReadHeader(space, header.key);
  RadosHeader same = header;
  if (there.ok()) same.nonce = there->nonce;
  if (there.ok() && *there == same) return RemoveParts(space, header);
  REFLUX_RETURN_IF_ERROR(space.Replace(name, head, first));
  return there.ok() ? RemoveParts(space, *there) : absl::OkStatus();
}

ValueRead ValueRead::Start(std::shared_ptr<RadosNamespace> space, const TargetKey& key,
                           const RadosEntry& entry, const PlaceFn& place, BlockPool& blocks) {
  return ValueRead(std::move(space), key, entry, place, blocks);
}

ValueRead::ValueRead(std::shared_ptr<RadosNamespace> space, const TargetKey& key,
                     const RadosEntry& entry, const PlaceFn& place, BlockPool& blocks)
    : space_(std::move(space)),
      key_(key),
      entry_(entry),
      value_(AskFor(place, entry)),
      block_(value_ == nullptr ? blocks.Take(entry.size) : nullptr),
      head_(std::make_unique<std::array<char, kRadosHeaderSize>>()),
      reading_(space_->StartRead(HeadName(key), HeadAndFirst())) {}

std::vector<RadosReading::Memory> ValueRead::HeadAndFirst() {
  if (value_ == nullptr) value_ = block_.get();
  const auto first = static_cast<size_t>(PartSize(static_cast<int64_t>(entry_.size), 0));
  return {{head_->data(), head_->size()}, {value_, first}};
}

absl::StatusOr<EncodedTarget> ValueRead::Await() {
  REFLUX_ASSIGN_OR_RETURN(const RadosHeader header, AwaitHeader());
  REFLUX_RETURN_IF_ERROR(ReadParts(header));
  EncodedTarget target = header.form.WithoutBytes();
  target.bytes = {value_, entry_.size};
  target.owner = block_;
  REFLUX_RETURN_IF_ERROR(target.Verify());
  return target;
}

absl::StatusOr<RadosHeader> ValueRead::AwaitHeader() {
  REFLUX_ASSIGN_OR_RETURN(const size_t read, reading_.Await());
  if (read != kRadosHeaderSize + PartSize(static_cast<int64_t>(entry_.size), 0)) {
    return absl::DataLossError("rados store: an object has another size than its index entry");
  }
  REFLUX_ASSIGN_OR_RETURN(const RadosHeader header,
                          DecodeRadosHeader({head_->data(), head_->size()}));
  const bool expected = header.key == key_ && header.set == entry_.set &&
                        header.size == entry_.size &&
                        header.form == entry_.form.value_or(header.form);
  if (expected) return header;
  return absl::DataLossError("rados store: an object holds another target than its name says");
}

absl::Status ValueRead::ReadParts(const RadosHeader& header) {
  const auto size = static_cast<int64_t>(entry_.size);
  std::vector<RadosReading> parts;
  for (int64_t part = 1; part < PartCount(size); ++part) {
    parts.push_back(space_->StartRead(
        PartName(key_, header.nonce, part),
        {{value_ + part * kRadosPartBytes, static_cast<size_t>(PartSize(size, part))}}));
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    const absl::StatusOr<size_t> read = parts[i].Await();
    if (absl::IsNotFound(read.status())) {
      return absl::DataLossError("rados store: a part of a value is missing");
    }
    REFLUX_RETURN_IF_ERROR(read.status());
    if (*read != static_cast<size_t>(PartSize(size, static_cast<int64_t>(i) + 1))) {
      return absl::DataLossError("rados store: a part of a value is cut short");
    }
  }
  return absl::OkStatus();
}

absl::Status RemoveValue(RadosNamespace& space, const TargetKey& key, uint64_t size) {
  RadosHeader header{.size = 0};
  if (PartCount(static_cast<int64_t>(size)) > 1) {
    const absl::StatusOr<RadosHeader> there = ReadHeader(space, key);
    if (there.ok()) header = *there;  // else Reclaim finds the parts
  }
  // The head first: without it the parts are nobody's.
  REFLUX_RETURN_IF_ERROR(space.Remove(HeadName(key)));
  return RemoveParts(space, header);
}

}  // namespace reflux
