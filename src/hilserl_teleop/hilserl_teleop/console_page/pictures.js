// A JPEG's pixels, ready to be drawn; close() what is returned.

// WebCodecs decodes from memory. A Blob takes a way through the browser's main process, which
// costs more than all else that the page does; it is left for pages that come over plain http
// from elsewhere, which have no WebCodecs.
export async function decode(jpeg) {
  if (!globalThis.ImageDecoder) {
    const image = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
    return { image, width: image.width, height: image.height };
  }
  const decoder = new ImageDecoder({ type: "image/jpeg", data: jpeg });
  try {
    const { image } = await decoder.decode();
    return { image, width: image.displayWidth, height: image.displayHeight };
  } finally {
    decoder.close();
  }
}
