// The zip file that torch.jit.save writes, looked into without running anything of it. Torch-free;
// internal to distill/checkpoint.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "distill/checkpoint/byte_source.h"
#include "distill/checkpoint/zip_archive.h"

namespace reflux {

// Thread-safe.
class ScriptedArchive {
 public:
  // InvalidArgument for what is not TorchScript; the errors of ZipArchive::Open.
  static absl::StatusOr<ScriptedArchive> Open(std::shared_ptr<const ByteSource> source);

  // Sizes are bounded and checksums right, as far as they can be had without unpacking: DataLoss,
  // ResourceExhausted. Reads the whole file.
  absl::Status CheckEntries() const;
  // SHA-256 in hex of the code, the constants and the attributes, as stored.
  absl::StatusOr<std::string> CodeDigest() const;

  bool Contains(absl::string_view name) const;
  // Of an entry such as "code/__torch__.py", unpacked. NotFound; DataLoss when it cannot be, or its
  // checksum does not match; ResourceExhausted above 64 MiB.
  absl::StatusOr<std::string> Content(absl::string_view name) const;

 private:
  ScriptedArchive(std::shared_ptr<const ByteSource> source, ZipArchive archive, std::string root)
      : source_(std::move(source)), archive_(std::move(archive)), root_(std::move(root)) {}
  absl::Status CheckSum(const std::string& name, const ZipArchive::Range& range) const;

  std::shared_ptr<const ByteSource> source_;
  ZipArchive archive_;
  std::string root_;  // "name/", which all entries begin with
};

// Whether the file is such an archive. False also for what cannot be read.
bool LooksLikeTorchScript(std::shared_ptr<const ByteSource> source);

}  // namespace reflux
