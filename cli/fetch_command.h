// `reflux fetch`: one target as a file that Python reads.
#pragma once

#include <string>

#include "cli/terminal.h"

namespace reflux {

struct FetchFlags {
  std::string server;  // cache or teacher server: "host:port" or "@FILE"
  std::string set;     // as FindSets takes it; empty: the server's own teacher
  std::string image;   // encoded image, PNG or JPEG
  std::string view;    // as ParseView takes it; empty: the whole image
  std::string tap = "logits";
  std::string codec;   // empty: the one that the set is stored with
  std::string output;  // .safetensors
};

// Asks for the target of the image, verifies and decodes it, and writes it as one tensor [C,h,w]
// named by its tap: F32, F16 or BF16 as it is stored, F32 for int8 and topk. What it is of stands
// in the file's metadata.
int FetchTarget(Terminal& terminal, const FetchFlags& flags);

}  // namespace reflux
