// Target sets in words.
#pragma once

#include <cstdint>
#include <string>

#include "reflux/v1/targets.pb.h"

namespace reflux {

// "fp16+zstd"; "-" for a codec of a later version.
std::string CodecWord(int codec);

// As the cache server names it: "camvid/deeplabv3_resnet101@9f3c01ab/logits/fp16".
std::string FullSetName(const v1::TargetSet& set);

// "pinned, 23 h left", "in use", or "-" for what may be evicted.
std::string LeaseText(const v1::TargetSet& set, int64_t now_unix_seconds);

}  // namespace reflux
