//! The overview of a shop, and what stands in its place while there is no shop.

words! {
    TITLE = "Overview";
    NO_SHOP = "There is no shop yet";
    NO_SHOP_TEXT = "Shops are made on the server. As soon as there is one, its orders and payments are here.";
    NO_SHOP_COMMAND = "till shop create NAME --mode test";
}
