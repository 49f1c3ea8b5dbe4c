"""XMP of a result does not speak of the old pixels, and is otherwise what it was."""

from xml.etree import ElementTree

import pytest

from sr_model.image_io.xmp import is_laborious, is_well_formed, resized_xmp, without_other_parts

PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:dc='http://purl.org/dc/elements/1.1/'
  xmlns:e="http://ns.adobe.com/exif/1.0/" xmlns:xmpNote="http://ns.adobe.com/xmp/note/"
  tiff:Orientation="6" tiff:Make="Zoë" e:PixelXDimension='40' xmpNote:HasExtendedXMP="0123">
 <tiff:ImageWidth>40</tiff:ImageWidth><tiff:ImageLength rdf:datatype="n">30</tiff:ImageLength>
 <e:ColorSpace>2</e:ColorSpace>
 <dc:title><rdf:Alt><rdf:li xml:lang="en">Orientation="6" &amp; Width</rdf:li></rdf:Alt></dc:title>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>""".encode()
TIFF, EXIF = "{http://ns.adobe.com/tiff/1.0/}", "{http://ns.adobe.com/exif/1.0/}"


def properties(packet: bytes) -> dict[str, str | None]:
    """The simple properties of a packet and the text of its list items."""
    found: dict[str, str | None] = {}
    for element in ElementTree.fromstring(packet).iter():
        found |= element.attrib
        found[element.tag] = element.text
    return found


def test_size_and_orientation_are_those_of_the_result_and_all_else_stays():
    before, changed = properties(PACKET), resized_xmp(PACKET, 160, 120)
    after = properties(changed)
    expected = {
        TIFF + "Orientation": "1",
        TIFF + "ImageWidth": "160",
        TIFF + "ImageLength": "120",
        EXIF + "PixelXDimension": "160",
    }
    gone = "{http://ns.adobe.com/xmp/note/}HasExtendedXMP"
    assert before.pop(gone) == "0123"
    assert after == before | expected
    assert changed.startswith(PACKET[:60])
    assert changed.endswith(PACKET[-20:])


def test_a_packet_that_says_nothing_of_pixels_is_the_same_to_the_byte():
    plain = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><!-- 6 --></x:xmpmeta>\n   \n"
    assert resized_xmp(plain, 160, 120) == plain


def test_converted_colours_are_said():
    assert properties(resized_xmp(PACKET, None, None, to_srgb=True))[EXIF + "ColorSpace"] == "1"
    assert properties(resized_xmp(PACKET, 160, 120))[EXIF + "ColorSpace"] == "2"


@pytest.mark.parametrize(
    "packet",
    [b"", b"<x", PACKET[:-300], PACKET.decode().encode("utf-16"),
     b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'],
)  # fmt: skip
def test_what_is_no_packet_is_not_passed_on(packet):
    assert not is_well_formed(packet)
    assert resized_xmp(packet, 160, 120) is None


def test_a_result_does_not_claim_the_other_images_of_its_source():
    packet = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
  xmlns:Container="http://ns.google.com/photos/1.0/container/" xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"
  xmlns:Item="http://ns.google.com/photos/1.0/container/item/" xmlns:GPano='http://ns.google.com/photos/1.0/panorama/'
  hdrgm:Version="1.0" GCamera:MotionPhoto="1" GCamera:Kept="2" tiff:Make="Phone">
 <Container:Directory><rdf:Seq><rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="GainMap"
   Item:Length="1234"/></rdf:li></rdf:Seq></Container:Directory>
 <GPano:FullPanoWidthPixels>4000</GPano:FullPanoWidthPixels><tiff:Model>M</tiff:Model>
</rdf:Description></rdf:RDF></x:xmpmeta>"""
    changed, removed = without_other_parts(packet)
    assert sorted(removed) == ["further images", "gain map", "motion photo", "panorama"]
    left = properties(changed)
    assert left.pop(TIFF + "Make") == "Phone"
    assert left.pop(TIFF + "Model") == "M"
    assert left.pop("{http://ns.google.com/photos/1.0/camera/}Kept") == "2"
    assert {name for name in left if "google" in name or "gain" in name} == set()
    assert without_other_parts(PACKET) == (PACKET, ())


@pytest.mark.parametrize("opening", [b"<g:aa>", b"<g:aa ", b"<tiff:ImageWidth "])
def test_a_packet_that_would_be_searched_for_minutes_is_known(opening):
    """Of openings without an end, in text, each is looked for up to the end of the packet."""
    spaces = b'xmlns:g="http://ns.google.com/photos/1.0/panorama/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
    packet = b"<x " + spaces + b"><![CDATA[" + opening * 20_000 + b"]]></x>"
    assert is_well_formed(packet)
    assert is_laborious(packet)
    assert resized_xmp(packet, 3, 4) is None
    assert not is_laborious(PACKET * 100)
