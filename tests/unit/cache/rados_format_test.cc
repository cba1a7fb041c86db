// The bytes of docs/scale_out.md, without a Ceph.
#include "cache/rados/rados_format.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "cache/rados/rados_store.h"

namespace reflux {
namespace {

Digest DigestOf(uint8_t first) {
  Digest digest;
  for (size_t i = 0; i < Digest::kSize; ++i) digest.bytes[i] = static_cast<uint8_t>(first + i);
  return digest;
}

RadosHeader AHeader() {
  return {.size = 0x0102030405,
          .key = {DigestOf(0x20)},
          .set = {DigestOf(0x60)},
          .form = {.dtype = DType::kFloat16,
                   .codec = Codec::kFp16,
                   .shape = {11, 45, 60},
                   .checksum = 0x1112131415161718},
          .nonce = 0xA1A2A3A4A5A6A7A8,
          .origin = {.sample = DigestOf(0xb0),
                     .view = {.resized_height = 9,
                              .resized_width = 8,
                              .crop_height = 7,
                              .crop_width = 6,
                              .flip = true}}};
}

RadosHeader Sized(uint64_t size) {
  RadosHeader header = AHeader();
  header.size = size;
  return header;
}

TEST(RadosFormat, HeaderBytesArePinned) {
  const RadosHeader header = Sized(0x01020304);
  const std::string bytes = EncodeRadosHeader(header);
  EXPECT_EQ(absl::BytesToHexString(bytes.substr(0, 216)),
            "52464c5854475431"
            "0000000001020304"
            "1112131415161718"
            "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
            "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
            "0303"
            "0000"
            "0000000b0000002d0000003c"
            "a1a2a3a4a5a6a7a8"
            "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
            "00000009000000080000000000000000000000070000000601"
            "0000000000000000000000000000000000000000000000000000000000000000"
            "000000000000000000000000000000");
  EXPECT_EQ(bytes.size(), kRadosHeaderSize);
  EXPECT_EQ(*DecodeRadosHeader(bytes), header);
}

TEST(RadosFormat, AnyFlippedBitOfAHeaderIsDataLoss) {
  const std::string bytes = EncodeRadosHeader(Sized(1000));
  for (size_t i = 0; i < 8 * bytes.size(); ++i) {
    std::string flipped = bytes;
    flipped[i / 8] ^= static_cast<char>(1 << i % 8);
    EXPECT_TRUE(absl::IsDataLoss(DecodeRadosHeader(flipped).status())) << "bit " << i;
  }
  for (size_t size : {size_t{0}, size_t{223}}) {
    EXPECT_TRUE(absl::IsDataLoss(DecodeRadosHeader(bytes.substr(0, size)).status()));
  }
  EXPECT_TRUE(absl::IsDataLoss(DecodeRadosHeader(bytes + "x").status()));
}

TEST(RadosFormat, AHeaderWithAFieldOutOfRangeIsDataLossThoughItsChecksumFits) {
  EXPECT_TRUE(absl::IsDataLoss(DecodeRadosHeader(EncodeRadosHeader(AHeader())).status()))
      << "4 GiB and more";
  for (int dtype : {0, 5, 255}) {
    RadosHeader header = Sized(1);
    header.form.dtype = static_cast<DType>(dtype);
    EXPECT_TRUE(absl::IsDataLoss(DecodeRadosHeader(EncodeRadosHeader(header)).status()));
  }
  RadosHeader header = Sized(1);
  header.form.codec = static_cast<Codec>(0);
  EXPECT_TRUE(absl::IsDataLoss(DecodeRadosHeader(EncodeRadosHeader(header)).status()));
}

RadosEntry AnEntry() {
  RadosEntry entry{.size = 0x0102, .stamp = 0x030405, .set = {DigestOf(0x60)}};
  entry.origin.sample.bytes.fill(0xcd);
  entry.origin.view = {.resized_height = 9, .resized_width = 8, .crop_height = 7, .crop_width = 6};
  return entry;
}
constexpr char kEntryBytesAfterItsVersion[] =
    "0000000000000102"
    "0000000000030405"
    "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
    "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
    "00000009000000080000000000000000000000070000000600"
    "0000000000000000000000000000000000000000000000000000000000000000";

TEST(RadosFormat, IndexBytesArePinned) {
  RadosEntry entry = AnEntry();
  EXPECT_EQ(absl::BytesToHexString(EncodeRadosEntry(entry)),
            absl::StrCat("01", kEntryBytesAfterItsVersion))
      << "as version 1 had it";
  EXPECT_EQ(*DecodeRadosEntry(EncodeRadosEntry(entry)), entry);
  entry.form = AHeader().form;
  EXPECT_EQ(absl::BytesToHexString(EncodeRadosEntry(entry)),
            absl::StrCat("02", kEntryBytesAfterItsVersion,
                         "0303"
                         "0000"
                         "0000000b0000002d0000003c"
                         "1112131415161718"));
  EXPECT_EQ(*DecodeRadosEntry(EncodeRadosEntry(entry)), entry);
  const RadosCount count{.revision = 1, .entries = 2, .bytes = 0x0300};
  EXPECT_EQ(absl::BytesToHexString(EncodeRadosCount(count)),
            "01"
            "0000000000000001"
            "0000000000000002"
            "0000000000000300");
  EXPECT_EQ(*DecodeRadosCount(EncodeRadosCount(count)), count);
  EXPECT_EQ(*DecodeRadosCount(""), RadosCount{});
}

TEST(RadosFormat, DamagedIndexBytesAreDataLoss) {
  const RadosForm form = AHeader().form;
  const std::string plain = EncodeRadosEntry({.size = 5, .set = {DigestOf(1)}});
  const std::string entry = EncodeRadosEntry({.size = 5, .set = {DigestOf(1)}, .form = form});
  const std::string count = EncodeRadosCount({.revision = 5});
  for (const std::string& bytes :
       {std::string(), std::string("\x02"), entry.substr(1), entry + "x", "\x01" + entry.substr(1),
        "\x03" + entry.substr(1), plain.substr(1), plain + "x", "\x02" + plain.substr(1),
        EncodeRadosEntry({.size = uint64_t{1} << 40}),
        EncodeRadosEntry({.size = uint64_t{1} << 40, .form = form}),
        EncodeRadosEntry({.form = RadosForm{.dtype = static_cast<DType>(5)}}),
        EncodeRadosEntry({.form = RadosForm{.codec = static_cast<Codec>(0)}})}) {
    EXPECT_TRUE(absl::IsDataLoss(DecodeRadosEntry(bytes).status()))
        << absl::BytesToHexString(bytes);
  }
  for (const std::string& bytes : {count.substr(1), count + "x", "\x02" + count.substr(1)}) {
    EXPECT_TRUE(absl::IsDataLoss(DecodeRadosCount(bytes).status()));
  }
}

TEST(RadosFormat, NamesArePinned) {
  const TargetKey key{DigestOf(0xfc)};
  const TargetSetId set{DigestOf(0x60)};
  EXPECT_EQ(ShardOf(key), 63);
  EXPECT_EQ(ShardName(63), "index.3f");
  EXPECT_EQ(HeadName(key), "fcfdfeff" + DigestOf(0).Hex().substr(0, 56));
  EXPECT_EQ(PartName(key, 0x0a, 1), HeadName(key) + ".000000000000000a.1");
  EXPECT_EQ(SetNamespace("lab", set), "lab/" + set.digest.Hex());
  EXPECT_EQ(CountName(set), "#" + set.digest.Hex());
  EXPECT_EQ(*ParseCountName(CountName(set)), set);
  EXPECT_EQ(*ParseEntryName(HeadName(key)), key);
  for (const std::string& name : {CountName(set), PartName(key, 1, 1), std::string("index.00")}) {
    EXPECT_FALSE(ParseEntryName(name).ok()) << name;
  }
  EXPECT_FALSE(ParseCountName(HeadName(key)).ok());
  EXPECT_FALSE(ParseCountName("#12").ok());
  EXPECT_EQ(PartCount(0), 1);
  EXPECT_EQ(PartCount(kRadosPartBytes), 1);
  EXPECT_EQ(PartCount(kRadosPartBytes + 1), 2);
}

TEST(RadosFormat, LocationsAreParsed) {
  EXPECT_EQ(ParseRadosLocation("rados:targets")->pool, "targets");
  EXPECT_EQ(ParseRadosLocation("rados:targets")->name, "default");
  EXPECT_EQ(ParseRadosLocation("rados:targets/lab.9f3c")->name, "lab.9f3c");
  for (const char* text : {"", "targets", "rados:", "rados:/x", "rados:targets/", "rados:a/b/c",
                           "rados:a b", "s3:targets"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseRadosLocation(text).status())) << text;
  }
}

TEST(RadosFormat, ABuildWithoutLibradosRefusesTheStore) {
  const auto store = OpenRadosStore({.pool = "targets"});
  EXPECT_TRUE(absl::IsUnimplemented(store.status())) << store.status();
  EXPECT_TRUE(absl::IsInvalidArgument(OpenRadosStore({.pool = ""}).status()));
}

TEST(RadosFormat, OptionsAreChecked) {
  EXPECT_TRUE(RadosStoreOptions{.pool = "p"}.Validate().ok());
  EXPECT_FALSE((RadosStoreOptions{.pool = "p", .capacity_bytes = -1}.Validate().ok()));
  EXPECT_FALSE((RadosStoreOptions{.pool = "p", .timeout = absl::ZeroDuration()}.Validate().ok()));
  EXPECT_FALSE((RadosStoreOptions{.pool = "p", .name = "a/b"}.Validate().ok()));
}

}  // namespace
}  // namespace reflux
