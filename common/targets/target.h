// The vocabulary of the target path: what a student asks for and what it gets. Torch-free.
//
// A *target* is what a teacher says about one sample at one tap. A *sample* is an encoded image
// (identified by the SHA-256 of its bytes) seen through a View. Value types, thread-compatible.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/base/digest.h"
#include "common/targets/codec.h"
#include "common/targets/label.h"
#include "common/targets/reduction.h"

namespace reflux {

// How an image becomes network input, resolved to integers (pixels): resize the whole image to
// resized_height x resized_width (bilinear), then take the window [crop_y, crop_y + crop_height) x
// [crop_x, crop_x + crop_width), then mirror it left-right if `flip`. What of the window lies
// beyond the resized image is padding: the preprocessing's mean colour in the image, the ignore
// index in the label. An origin below 0 pads above and to the left. A JPEG is decoded at
// 1/decode_shrink of its sides, rounded up, before it is resized; other formats whole.
struct View {
  int32_t resized_height = 0, resized_width = 0;
  int32_t crop_y = 0, crop_x = 0;
  int32_t crop_height = 0, crop_width = 0;
  bool flip = false;
  int32_t decode_shrink = 1;
  auto operator<=>(const View&) const = default;

  // Sides positive and at most kMaxSide, areas at most 2^26 pixels; the window covers a part of the
  // resized image; decode_shrink is 1, 2, 4 or 8.
  absl::Status Validate() const;
  static constexpr int32_t kMaxSide = 16384;
};

// How far a JPEG may be shrunk as it is decoded, so that a view of this scale still shrinks it: the
// largest of 1, 2, 4 and 8 that is at most 1 / scale.
int32_t ShrinkFor(double scale);

// Views that `targets.views: replay: K` may take of one image.
inline constexpr int64_t kMaxReplayedViews = 100000;

// Where a process that shares the data set finds the image.
struct Locator {
  std::string dataset;  // dataset id, e.g. "camvid"
  std::string path;     // relative to the data set's root, '/' separated, no "..": "train/a.jpg"
  auto operator<=>(const Locator&) const = default;
};

struct SampleRef {
  Digest digest;  // SHA-256 of the encoded image
  View view;
  Locator locator;
  // The encoded image, only when a teacher answered kSampleNeeded; shared, never copied.
  std::shared_ptr<const std::string> image;
  // LabelDigest of the sample's label, where a spec's reduction reads it; empty otherwise.
  Digest label_digest;
  std::shared_ptr<const LabelFile> label;  // sent beside `image`, when there is a label_digest
};

// Which map of the teacher, what is kept of it, and how that is stored.
struct TargetSpec {
  std::string tap;  // "logits", "aspp", "c4", ... (SegmentationModel::taps)
  Reduction reduction = Reduction::kNone;
  Codec codec = Codec::kFp32;
  auto operator<=>(const TargetSpec&) const = default;

  // How batches and losses call it: the tap, and after '|' the reduction, if there is one:
  // "aspp", "aspp|class_sums".
  std::string name() const;
};
// The name of TargetSpec::name; `tap` holds no '|'.
std::string TargetName(absl::string_view tap, Reduction reduction);
// Tap and reduction of such a name; InvalidArgument for an unknown reduction.
absl::StatusOr<TargetSpec> ParseTargetName(absl::string_view name);

// What belongs to a checkpoint besides its weights: (pixel / divisor - mean) / deviation, per
// channel in `order`.
struct Preprocessing {
  bool bgr = false;  // false: RGB
  double divisor = 255.0;
  std::array<double, 3> mean = {0.485, 0.456, 0.406};
  std::array<double, 3> deviation = {0.229, 0.224, 0.225};
  auto operator<=>(const Preprocessing&) const = default;
};

enum class ComputeDType : uint8_t { kFp32 = 1, kBf16 = 2, kFp64 = 3 };  // never renumber
enum class NumericsMode : uint8_t { kExact = 1, kFast = 2 };            // never renumber

// The arithmetic a teacher promises (design 6).
struct Numerics {
  NumericsMode mode = NumericsMode::kExact;
  ComputeDType compute = ComputeDType::kFp32;
  bool tf32 = false;
  int32_t threads = 1;  // exact: intra-op threads of every runner
  int32_t batch = 4;    // exact: every forward has this batch, short ones padded
  // Raised whenever our teacher arithmetic changes.
  int32_t inference_revision = kInferenceRevision;
  static constexpr int32_t kInferenceRevision = 1;
  auto operator<=>(const Numerics&) const = default;
};

// Which teacher, to the bit. A server refuses a request whose identity is not its own.
struct TeacherIdentity {
  Digest digest;
  Preprocessing preprocessing;
  Numerics numerics;
  auto operator<=>(const TeacherIdentity&) const = default;
};

// What of `is` is not as in `wanted`, for people: "digest 9f3c01ab instead of 12ab34cd", or which
// of preprocessing and numerics. Empty when they are equal.
std::string DescribeDifference(const TeacherIdentity& is, const TeacherIdentity& wanted);

struct TargetRequest {
  TeacherIdentity teacher;
  std::vector<SampleRef> samples;
  std::vector<TargetSpec> specs;  // every sample wants every spec

  // Bounds of design 5; InvalidArgument names the field.
  absl::Status Validate() const;
  static constexpr size_t kMaxSamples = 1024, kMaxSpecs = 16, kMaxTapName = 128, kMaxPath = 1024;
};

// The bytes of one target as they were encoded; immutable, shared by reference.
struct EncodedTarget {
  absl::string_view bytes;
  std::shared_ptr<const void> owner;  // keeps `bytes` alive: heap, RocksDB slice, gRPC slice
  DType dtype = DType::kFloat32;
  Codec codec = Codec::kFp32;
  std::array<int32_t, 3> shape = {0, 0, 0};  // [C, h, w], of the map once reduced (reduction.h)
  uint64_t checksum = 0;                     // XXH3-64 of `bytes`

  // Takes ownership of `bytes` and computes the checksum.
  static EncodedTarget FromBytes(std::string bytes, DType dtype, Codec codec,
                                 std::array<int32_t, 3> shape);
  // DataLoss when the bytes do not match the checksum, or their number the shape.
  absl::Status Verify() const;
  // The same, where the checksum of the bytes has been computed already.
  absl::Status VerifyAgainst(uint64_t computed) const;
  static constexpr int64_t kMaxBytes = int64_t{1} << 30;
};
uint64_t TargetChecksum(absl::string_view bytes);

// A sample whose image the source cannot find: ask again with SampleRef::image.
absl::Status SampleNeededError(const SampleRef& sample);
bool IsSampleNeeded(const absl::Status& status);

enum class Priority : uint8_t { kStudent = 1, kPrefill = 2 };

struct FetchContext {
  absl::Time deadline = absl::InfiniteFuture();
  std::shared_ptr<Cancellation> cancellation;  // may be null
  Priority priority = Priority::kStudent;

  // DeadlineExceeded or Cancelled once that is so.
  absl::Status Check() const;
};

// Where the bytes of a stored target lie in a file of this host.
struct TargetLocation {
  std::string path;  // absolute
  uint64_t offset = 0, size = 0;
  bool operator==(const TargetLocation&) const = default;
};

// Memory for the `size` bytes of a target, of which `coming` says all but the bytes and their
// owner; null: none is offered. May be null itself.
using PlaceFn = std::function<char*(const EncodedTarget& coming, size_t size)>;

// Receives the targets of one Fetch. Calls come one at a time, from any thread; what a place is
// written with may go on beside calls for other targets.
class TargetSink {
 public:
  virtual ~TargetSink() = default;
  // As PlaceFn: a source that writes the bytes there spares the copy, and delivers them without an
  // owner. Null: the source's own memory, with an owner. What a source has written counts only once
  // the target is delivered: until then it may write again, or deliver other memory.
  virtual char* Place(size_t sample, size_t spec, const EncodedTarget& coming, size_t size) {
    static_cast<void>(sample), static_cast<void>(spec), static_cast<void>(coming);
    static_cast<void>(size);
    return nullptr;
  }
  // Exactly once for each (sample, spec) index of the request, in any order. May block: that is the
  // back-pressure.
  virtual void Deliver(size_t sample, size_t spec, absl::StatusOr<EncodedTarget> target) = 0;

  // Whether it takes a location, of which `coming` says all but the bytes, for a delivery. Who
  // reads there must verify what it reads, and ask again when that fails.
  virtual bool takes_locations() const { return false; }
  virtual void DeliverLocation(size_t sample, size_t spec, const EncodedTarget& coming,
                               const TargetLocation& location) {
    static_cast<void>(sample), static_cast<void>(spec), static_cast<void>(coming);
    static_cast<void>(location);
  }
};

// Data set of the images by which a server tests itself: they are not counted as inferred.
inline constexpr char kCanaryDataset[] = "reflux:canary";

// What a teacher is and can do.
struct TeacherInfo {
  TeacherIdentity identity;
  std::string model;  // "deeplabv3_resnet101"
  int32_t num_classes = 0;
  struct Tap {
    std::string name;
    int32_t channels = 0;
    int32_t stride = 0;
  };
  std::vector<Tap> taps;
  int64_t images_inferred = 0;  // forwards of one image since the process started
  double miou = -1;             // of the check before the first target; negative: not evaluated
  std::string build_version;
};

// Where targets come from: a model, a server, a cache over another source. Thread-safe.
class TargetSource {
 public:
  virtual ~TargetSource() = default;
  // Blocks until the last delivery. The returned status is an error only if the whole request was
  // refused, and then nothing was delivered; otherwise each target carries its own status.
  virtual absl::Status Fetch(const FetchContext& context, const TargetRequest& request,
                             TargetSink& sink) = 0;
  virtual absl::StatusOr<TeacherInfo> GetTeacherInfo(const FetchContext& context) = 0;
};

}  // namespace reflux
