// Pictures are read as Pillow reads them; tests/fixtures/make_images.py made the files and the values.
#include <cstdint>
#include <string>
#include <vector>

#include "data/image_codecs.h"
#include "data/image_file.h"
#include "dpll/core/check.h"
#include "dpll/files.h"
#include "dpll/safetensors.h"
#include "support/doctest.h"
#include "support/error_of.h"

using namespace dpll;
using dpll::test::contains;
using dpll::test::error_of;

namespace {

using Bytes = std::vector<std::uint8_t>;
const std::string kFolder = std::string(DPLL_TEST_FIXTURES) + "/images/";

Bytes file_of(const std::string& name) {
  return read_file(kFolder + name);
}

Error image_error(const Bytes& bytes, int channels = 0) {
  Error error = error_of([&] { decode_image(bytes, "f", channels); });
  CHECK(error.code() == ExitCode::data);
  CHECK(contains(error, "f: "));
  return error;
}

// A PNG file of `width` x `height` pixels of 8 bits of grey, with right checksums and without their data.
Bytes png_header(std::uint32_t width, std::uint32_t height) {
  Bytes bytes = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n', 0, 0, 0, 13};
  Bytes body = {'I', 'H', 'D', 'R'};
  for (const std::uint32_t side : {width, height}) {
    for (int shift = 24; shift >= 0; shift -= 8) body.push_back(static_cast<std::uint8_t>(side >> shift));
  }
  body.insert(body.end(), {8, 0, 0, 0, 0});
  std::uint32_t crc = 0xFFFFFFFF;
  for (const std::uint8_t byte : body) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? 0xEDB88320 ^ (crc >> 1) : crc >> 1;
  }
  bytes.insert(bytes.end(), body.begin(), body.end());
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::uint8_t>(~crc >> shift));
  for (const char* name : {"IDAT", "IEND"}) {
    bytes.insert(bytes.end(), 4, 0);
    bytes.insert(bytes.end(), name, name + 4);
    bytes.insert(bytes.end(), 4, 0);
  }
  return bytes;
}

}  // namespace

TEST_CASE("image file: every kind of PNG and JPEG has the pixels that Pillow reads") {
  const SafetensorsFile expected = SafetensorsFile::read(kFolder + "expected.safetensors");
  int compared = 0;
  for (const auto& [key, entry] : expected.entries()) {
    CAPTURE(key);
    const std::string name = key.substr(0, key.find(' '));
    const bool grey = key.ends_with(" L");
    const ImageSet image = decode_image(file_of(name), name, grey ? 1 : 3);
    CHECK(image.count == 1);
    CHECK(image.height == entry.shape[0]);
    CHECK(image.width == entry.shape[1]);
    CHECK(image.channels == (grey ? 1 : 3));
    CHECK(image.pixels == expected.get<std::uint8_t>(key));
    ++compared;
  }
  CHECK(compared == 52);
}

TEST_CASE("image file: the picture's own number of channels") {
  for (const char* name : {"grey.jpg", "grey.png", "grey1.png", "grey_alpha.png"}) {
    CHECK_MESSAGE(decode_image(file_of(name), name, 0).channels == 1, name);
  }
  for (const char* name : {"420.jpg", "rgba.png", "palette.png"}) {
    CHECK_MESSAGE(decode_image(file_of(name), name, 0).channels == 3, name);
  }
  CHECK(contains(image_error(file_of("rgb.png"), 4), "pictures have 1 or 3 channels, expected 4"));
}

TEST_CASE("image file: what is not read is refused with its reason") {
  CHECK(contains(image_error(file_of("cmyk.jpg")), "4 colour components (CMYK?), expected grey or RGB"));
  CHECK(contains(image_error(file_of("grey16.png")), "16 bits of grey, expected 8"));
  const auto text = [](const std::string& bytes) { return Bytes(bytes.begin(), bytes.end()); };
  CHECK(contains(image_error({}), "not a PNG or JPEG file; other formats are to be converted"));
  CHECK(contains(image_error(text("GIF89a......")), "not a PNG or JPEG file (it looks like GIF)"));
  CHECK(contains(image_error(text("BM..........")), "(it looks like BMP)"));
  CHECK(contains(image_error(text("RIFF....WEBPVP8 ")), "(it looks like WebP)"));
}

TEST_CASE("image file: a picture that is too large is refused before there is memory for it") {
  CHECK(contains(image_error(png_header(1 << 20, 1 << 20)),
                 "a picture of 1048576x1048576 pixels; at most 67108864"));
  CHECK(contains(image_error(png_header(1 << 14, (1 << 12) + 1)), "a picture of 4097x16384 pixels"));
  CHECK(contains(image_error(png_header(0x7FFFFFFF, 1)), "not a whole PNG file: "));
  CHECK(contains(image_error(png_header(0, 1)), "not a whole PNG file: "));
  CHECK(contains(image_error(png_header(3, 3)), "not a whole PNG file: "));
  // A chunk of 1.7 GB, of which a few bytes are there.
  Bytes chunk = png_header(3, 3);
  const Bytes exif = {0x66, 0, 0, 0, 'e', 'X', 'I', 'f', 'M', 'M', 0, '*'};
  chunk.insert(chunk.begin() + 33, exif.begin(), exif.end());
  CHECK(contains(image_error(chunk), "truncated: the chunk at byte 33 announces 1711276032 bytes, "));
  // The size stands in the segment that begins with FF C0, behind its length and precision.
  Bytes jpeg = file_of("444.jpg");
  std::size_t frame = 0;
  while (jpeg[frame] != 0xFF || jpeg[frame + 1] != 0xC0) ++frame;
  for (std::size_t i = 5; i < 9; ++i) jpeg[frame + i] = 0xF0;
  CHECK(contains(image_error(jpeg), "a picture of 61680x61680 pixels"));
}

TEST_CASE("image file: a file that is cut off anywhere is refused") {
  for (const char* name : {"rgb16.png", "interlaced.png", "palette.png", "420.jpg", "grey.jpg",
                           "progressive.jpg", "restarts.jpg"}) {
    CAPTURE(name);
    const Bytes whole = file_of(name);
    // The two bytes of JPEG's end mark say nothing of the picture.
    const std::size_t needed = std::string(name).ends_with(".jpg") ? whole.size() - 2 : whole.size();
    for (std::size_t length = 0; length < needed; ++length) {
      image_error({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)});
    }
  }
}

TEST_CASE("image file: a table of more Huffman codes than there are is refused") {
  Bytes jpeg = file_of("420.jpg");
  std::size_t table = 0;
  while (jpeg[table] != 0xFF || jpeg[table + 1] != 0xC4) ++table;
  // Behind mark, length and class: the number of codes of 1 bit, of 2 bits, ...
  for (std::size_t i = 0; i < 16; ++i) jpeg[table + 5 + i] = 0xFF;
  CHECK(contains(image_error(jpeg), "not a whole JPEG file: "));
}

TEST_CASE("image file: an orientation outside of its range, and blocks that are cut off") {
  const auto exif = [](bool big, std::uint8_t value, std::uint8_t type) {
    return big ? Bytes{'M', 'M', 0, '*', 0, 0, 0, 8, 0, 1, 1, 0x12, 0, type, 0, 0, 0, 1, 0, value, 0, 0}
               : Bytes{'I', 'I', '*', 0, 8, 0, 0, 0, 1, 0, 0x12, 1, type, 0, 1, 0, 0, 0, value, 0, 0, 0};
  };
  for (const bool big : {false, true}) {
    CHECK(exif_orientation(exif(big, 6, 3)) == 6);
    CHECK(exif_orientation(exif(big, 0, 3)) == 1);
    CHECK(exif_orientation(exif(big, 9, 3)) == 1);
    CHECK(exif_orientation(exif(big, 6, 2)) == 1);
    const Bytes whole = exif(big, 6, 3);
    for (std::size_t length = 0; length < 19; ++length) {
      CHECK(exif_orientation(ByteView(whole).first(length)) == 1);
    }
    Bytes far = whole;
    for (std::size_t i = 4; i < 8; ++i) far[i] = 0xFF;
    CHECK(exif_orientation(far) == 1);
  }
}
