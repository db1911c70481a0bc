// The only translation unit with the code of the stb headers, and the compressor for stb_image_write: zlib is
// several times faster than the built-in one, and the files are smaller.
#include <zlib.h>

#include <cstdlib>

namespace {

// Contract of STBIW_ZLIB_COMPRESS: a zlib stream in memory from malloc(), or null.
unsigned char* compress_with_zlib(unsigned char* data, int length, int* compressed_length, int level) {
  uLongf size = compressBound(static_cast<uLong>(length));
  auto* out = static_cast<unsigned char*>(std::malloc(size));
  if (out == nullptr) return nullptr;
  if (compress2(out, &size, data, static_cast<uLong>(length), level) != Z_OK) {
    std::free(out);
    return nullptr;
  }
  *compressed_length = static_cast<int>(size);
  return out;
}

}  // namespace

#define STBIW_ZLIB_COMPRESS compress_with_zlib
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image_write.h>

#define STB_TRUETYPE_IMPLEMENTATION
#include <stb_truetype.h>
