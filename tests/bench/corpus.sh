#!/bin/sh
# Real images into .corpus, without installing anything: Debian packages, in the versions of Debian 12, the TIFFs that
# Pillow, libtiff and GraphicsMagick are tested with, and what scikit-image brings. The benchmarks take photos from wallpapers/; the corpus test measures all.
set -eu
wallpapers="lomiri-wallpapers-16.04=20.04.0-2 lomiri-wallpapers-20.04=20.04.0-2
    plasma-workspace-wallpapers=4:5.27.5-2 ukui-wallpapers=20.04.3-1.1"
# PngSuite (in libsixel-examples), libjxl's and Go's test images, photos as annotated for machine learning.
samples="libsixel-examples=1.10.3-3 libjxl-testdata=0.0~git20230110.d6168ff-1 golang-golang-x-image-dev=0.5.0-1
    labelme-examples=5.1.1-1"
rm -rf .corpus

unpack() {
    mkdir -p ".corpus/$1"
    cd ".corpus/$1"
    shift
    for package in "$@"; do
        apt-get download -qq "$package"
    done
    for file in *.deb; do
        dpkg-deb --extract "$file" .
        rm "$file"
    done
    cd ../..
}

# shellcheck disable=SC2086 # one word for each package
unpack wallpapers $wallpapers
# shellcheck disable=SC2086
unpack samples $samples

# Source packages, from where this machine has its Debian 12 from: few machines have them in their lists.
mkdir -p .corpus/tiffs/lists
cd .corpus/tiffs
# shellcheck disable=SC2016 # apt-get fills these in
apt-get indextargets --format 'deb-src $(REPO_URI) $(CODENAME) $(COMPONENT)' \
    'Created-By: Packages' 'Origin: Debian' 'Codename: bookworm' 'Component: main' | sort --unique > sources.list
sources() {
    apt-get -qq -o Dir::Etc::sourcelist="$PWD/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$PWD/lists" "$@"
}
sources update
sources source --download-only pillow tiff graphicsmagick
for file in *.orig.tar.?z*; do
    case $file in *.asc) ;; *) tar --extract --wildcards --file "$file" '*.tif' '*.tiff' ;; esac
    rm "$file"
done
rm -r lists sources.list ./*.dsc ./*.debian.tar.xz
cd ../..

sed -n '/^scikit-image==/,/[^\\]$/p' requirements-corpus.txt |
    "$UV" pip install --quiet --no-deps --require-hashes --target .corpus/samples/python --requirement -
