// libjpeg reports errors through a function that must not return: it jumps back here with longjmp(), which
// skips destructors. So each function that calls setjmp() has none to skip: all it works on belongs to its
// caller.
#include <csetjmp>
#include <cstddef>
#include <cstdio>

#include <jpeglib.h>
// behind jpeglib.h, which it needs
#include <jerror.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "data/image_codecs.h"
#include "dpll/core/check.h"
#include "io/text.h"

namespace dpll {
namespace {

// A progressive file of a few kilobytes can hold thousands of scans over all of a large picture.
constexpr int kMostScans = 256;

struct JpegReader {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf failed{};
  char message[JMSG_LENGTH_MAX] = {};

  JpegReader() = default;
  ~JpegReader() { jpeg_destroy_decompress(&info); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
};

[[noreturn]] void give_up(j_common_ptr common) {
  auto* reader = static_cast<JpegReader*>(common->client_data);
  reader->errors.format_message(common, reader->message);
  std::longjmp(reader->failed, 1);
}

// libjpeg fills up what is missing with grey and only warns.
void judge_warning(j_common_ptr common, int level) {
  const int code = common->err->msg_code;
  if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE ||
                    code == JWRN_ARITH_BAD_CODE || code == JWRN_BOGUS_PROGRESSION)) {
    give_up(common);
  }
}

void limit_scans(j_common_ptr common) {
  auto* reader = static_cast<JpegReader*>(common->client_data);
  if (reader->info.input_scan_number > kMostScans) {
    std::snprintf(reader->message, sizeof(reader->message), "more than %d scans", kMostScans);
    std::longjmp(reader->failed, 1);
  }
}

bool read_header(JpegReader& reader, const std::uint8_t* data, std::size_t bytes) {
  reader.info.err = jpeg_std_error(&reader.errors);
  reader.errors.error_exit = give_up;
  reader.errors.emit_message = judge_warning;
  reader.info.client_data = &reader;
  if (setjmp(reader.failed) != 0) return false;
  jpeg_create_decompress(&reader.info);
  reader.progress.progress_monitor = limit_scans;
  reader.info.progress = &reader.progress;
  jpeg_mem_src(&reader.info, data, static_cast<unsigned long>(bytes));
  jpeg_save_markers(&reader.info, JPEG_APP0 + 1, 0xFFFF);
  jpeg_read_header(&reader.info, TRUE);
  return true;
}

bool read_rows(JpegReader& reader, std::uint8_t* pixels, std::size_t row_bytes) {
  if (setjmp(reader.failed) != 0) return false;
  jpeg_start_decompress(&reader.info);
  while (reader.info.output_scanline < reader.info.output_height) {
    JSAMPROW row = pixels + reader.info.output_scanline * row_bytes;
    jpeg_read_scanlines(&reader.info, &row, 1);
  }
  jpeg_finish_decompress(&reader.info);
  return true;
}

int orientation_of(const jpeg_decompress_struct& info) {
  constexpr std::string_view kExif("Exif\0\0", 6);
  for (jpeg_saved_marker_ptr marker = info.marker_list; marker != nullptr; marker = marker->next) {
    const ByteView data(marker->data, marker->data_length);
    if (data.size() >= kExif.size() && std::equal(kExif.begin(), kExif.end(), data.begin())) {
      return exif_orientation(data.subspan(kExif.size()));
    }
  }
  return 1;
}

}  // namespace

DecodedImage decode_jpeg(ByteView bytes, const std::string& path) {
  JpegReader reader;
  const auto refuse = [&] {
    fail(ExitCode::data, "{}: not a whole JPEG file: {}", path, printable(reader.message));
  };
  if (!read_header(reader, bytes.data(), bytes.size())) refuse();
  DecodedImage image;
  image.height = reader.info.image_height;
  image.width = reader.info.image_width;
  check_image_size(image.height, image.width, path);
  switch (reader.info.jpeg_color_space) {
    case JCS_GRAYSCALE:
      image.channels = 1;
      break;
    case JCS_RGB:
    case JCS_YCbCr:
      image.channels = 3;
      break;
    default:
      fail(ExitCode::data, "{}: a JPEG file of {} colour components (CMYK?), expected grey or RGB", path,
           reader.info.num_components);
  }
  reader.info.out_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  image.orientation = orientation_of(reader.info);
  const std::size_t row_bytes =
      static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.channels);
  image.pixels.resize(static_cast<std::size_t>(image.height) * row_bytes);
  if (!read_rows(reader, image.pixels.data(), row_bytes)) refuse();
  return image;
}

}  // namespace dpll
