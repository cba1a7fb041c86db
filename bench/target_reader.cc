#include "bench/target_reader.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/status_macros.h"

namespace reflux {

absl::Status CheckReader(const NamedReader& named, const StoredValues& values) {
  const std::vector<int> numbers = {values.count - 1, 0};
  BatchRows rows(2, values.value_bytes());
  REFLUX_RETURN_IF_ERROR(named.reader->Read(numbers, rows));
  for (int position = 0; position < 2; ++position) {
    const absl::string_view read(rows.row(position), static_cast<size_t>(rows.row_bytes()));
    if (read != BenchValue(values, numbers[position]).bytes) {
      return absl::DataLossError(absl::StrCat("row ", named.name, " brings other bytes"));
    }
  }
  return absl::OkStatus();
}

}  // namespace reflux
